import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerCredentials, status as Code } from "@grpc/grpc-js";
import { describe, test } from "node:test";
import { isLoopback } from "../src/connection.js";
import { OcrMuxClient, UsageError } from "../src/index.js";
import { FakeService, textOf } from "./fake-service.js";
import { allOf, FAST, items, pair } from "./stream-fixture.js";

void describe("a client", () => {
  for (const [target, loopback] of Object.entries({
    "127.0.0.1:1": true,
    "127.8.8.8:1": true,
    "localhost:1": true,
    localhost: true,
    "[::1]:1": true,
    "dns:///localhost:1": true,
    "dns:localhost:1": true,
    "ipv4:127.0.0.1:1,127.0.0.2:2": true,
    "ipv4:127.0.0.1:1,10.0.0.2:2": false,
    "ipv6:[::1]:1": true,
    "unix:/run/ocr": true,
    "127.evil.example:1": false,
    "localhost.evil.example:1": false,
    "127.0.0.1:1@evil.example:443": false,
    "localhost:1@evil.example": false,
    "[::1]evil.example:443": false,
    "127.0.0.1:1,evil.example:2": false,
    "dns:///127.0.0.1:1,evil.example:2": false,
    "ocr.example:1": false,
    "10.0.0.1:1": false,
  })) {
    void test(`${loopback ? "takes" : "refuses"} a token in the clear for ${target}`, () => {
      assert.equal(isLoopback(target), loopback);
      const make = (): void => {
        new OcrMuxClient(target, { token: "t" }).close();
      };
      if (loopback) make();
      else assert.throws(make, UsageError);
    });
  }

  void test("looks at the gateway's address too", () => {
    const options = { token: "t", gatewayTarget: "gateway.example:1" };
    assert.throws(() => new OcrMuxClient("127.0.0.1:1", options), UsageError);
    new OcrMuxClient("127.0.0.1:1", { ...options, tls: true }).close();
  });

  for (const target of ["", "http://ocr:1", "HTTPS://ocr"]) {
    void test(`refuses the target '${target}'`, () => {
      assert.throws(() => new OcrMuxClient(target), UsageError);
    });
  }

  for (const token of ["", "a\nb", "a b", "ä"]) {
    void test(`refuses the token ${JSON.stringify(token)}`, () => {
      assert.throws(() => new OcrMuxClient("127.0.0.1:1", { token }), UsageError);
    });
  }

  void test("refuses a tenant that no header can hold, and sends no empty one", async () => {
    for (const tenant of ["a\nb", "ä"]) assert.throws(() => new OcrMuxClient("127.0.0.1:1", { tenant }), UsageError);
    const { service, client } = await pair({}, { tenant: "" });
    await client.recognize(Buffer.from("x"));
    assert.deepEqual(service.metadata[0]?.get("ocrmux-tenant"), []);
  });

  void test("sends its token and its tenant with every call", async () => {
    const { service, client } = await pair({}, { token: "secret", tenant: "team-a" });
    await client.recognize(Buffer.from("x"));
    await allOf(client.streamRecognize(items(["x"])));
    const sent = service.metadata.map((metadata) => [metadata.get("authorization"), metadata.get("ocrmux-tenant")]);
    assert.deepEqual(sent, [[["Bearer secret"], ["team-a"]], [["Bearer secret"], ["team-a"]]]); // prettier-ignore
  });

  void test("goes round robin over all addresses of its target", async () => {
    const services = [await new FakeService().start(), await new FakeService().start()];
    using client = new OcrMuxClient(`ipv4:${services.map(({ target }) => target).join(",")}`, { backoff: FAST });
    for (let call = 0; call < 1000 && services.some(({ unaryCalls }) => unaryCalls < 2); call += 1) {
      await client.recognize(Buffer.from("x"));
    }
    assert.ok(services.every(({ unaryCalls }) => unaryCalls >= 2));
    services[0]?.stop();
    assert.equal((await allOf(client.streamRecognize(items(["a", "b"]), { policy: { backoff: FAST } }))).length, 2);
    services[1]?.stop();
  });
});

void describe("TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "ocrmux-tls-"));
  process.on("exit", () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const made = certificates(folder);
  const skip = made ? false : "there is no openssl to make certificates with";
  const path = (name: string): string => join(folder, name);
  const serving = (mutual: boolean): Promise<FakeService> => {
    const pair = { private_key: readFileSync(path("key.pem")), cert_chain: readFileSync(path("cert.pem")) };
    const credentials = ServerCredentials.createSsl(readFileSync(path("cert.pem")), [pair], mutual);
    return new FakeService().start("localhost:0", credentials);
  };

  void test("believes the certificates of a file, or of bytes", { skip }, async () => {
    const service = await serving(false);
    for (const ca of [path("cert.pem"), readFileSync(path("cert.pem"))]) {
      using client = new OcrMuxClient(service.target, { tls: { ca }, token: "t" });
      assert.equal((await client.recognize(Buffer.from("x"))).text, textOf("x"));
    }
    service.stop();
  });

  void test("does not believe a certificate that nobody vouches for", { skip }, async () => {
    const service = await serving(false);
    using client = new OcrMuxClient(service.target, { tls: true, backoff: FAST });
    await assert.rejects(client.recognize(Buffer.from("x")), { code: Code.UNAVAILABLE });
    service.stop();
  });

  void test("shows a certificate of the client's own", { skip }, async () => {
    const service = await serving(true);
    const own = { ca: path("cert.pem"), cert: path("cert.pem"), key: path("key.pem") };
    using client = new OcrMuxClient(service.target, { tls: own });
    assert.equal((await client.recognize(Buffer.from("x"))).text, textOf("x"));
    using nobody = new OcrMuxClient(service.target, { tls: { ca: own.ca }, backoff: FAST });
    await assert.rejects(nobody.recognize(Buffer.from("x")), { code: Code.UNAVAILABLE });
    service.stop();
  });

  void test("refuses half a pair, and a file that is not there", () => {
    assert.throws(() => new OcrMuxClient("ocr:1", { tls: { cert: Buffer.from("x") } }), UsageError);
    assert.throws(() => new OcrMuxClient("ocr:1", { tls: { ca: "/nowhere.pem" } }), { code: "ENOENT" });
  });
});

/** A key and its certificate for localhost; false where there is no openssl. */
function certificates(folder: string): boolean {
  const wanted = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"; // prettier-ignore
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  try {
    execFileSync("openssl", [...wanted.split(" "), ...files], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
