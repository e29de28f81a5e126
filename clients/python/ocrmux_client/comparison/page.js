"use strict";
// Everything can be read without this: it adds the box's text at the pointer, and shows which line is which box.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

function told(box) {
  const title = box.querySelector("title");
  if (title) {
    box.dataset.told = title.textContent;
    title.remove(); // or the browser shows it a second time
  }
  return box.dataset.told;
}

let hot = [];
document.addEventListener("pointermove", (event) => {
  const under = document.elementsFromPoint(event.clientX, event.clientY);
  const boxes = under.filter((element) => element.matches("polygon.box"));
  const lines = boxes.length ? boxes : under.filter((element) => element.matches(".line[data-n]"));
  hot.forEach((element) => element.classList.remove("hot"));
  hot = lines.flatMap((element) => {
    const same = element.dataset.n && element.closest("article").querySelectorAll(`[data-n="${element.dataset.n}"]`);
    return [element, ...(same || [])];
  });
  hot.forEach((element) => element.classList.add("hot"));
  tip.hidden = !boxes.length;
  tip.textContent = boxes.map(told).join("\n");
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16;
  const top = below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : below;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
});
