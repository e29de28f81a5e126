/** The fake as a process of its own, whose memory is not the client's: sends its target to its parent, and ends with it. */

import { FakeService } from "./fake-service.js";

const service = await new FakeService().start();
process.on("disconnect", () => {
  service.stop();
});
process.send?.(service.target);
