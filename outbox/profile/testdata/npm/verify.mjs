// Reads requests from its input, a JSON array of {profile, secret, headers, body}, and verifies each as a receiver would: with the
// platform's own library where there is one, else as its documentation says. Prints a JSON array with an error, or null, for each.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

const same = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
const hmac = (secret, text, encoding) => createHmac("sha256", secret).update(text).digest(encoding);
const demand = (ok, what) => {
  if (!ok) throw new Error(what);
};

const receivers = {
  native: ({ secret, headers, body }) => new StandardWebhook(secret).verify(body, headers),
  chord: ({ secret, headers, body }) => new StandardWebhook(secret).verify(body, headers),
  goody: ({ secret, headers, body }) => new SvixWebhook(secret).verify(body, headers),
  commercelayer: ({ secret, headers, body }) => {
    demand(same(headers["x-commercelayer-signature"], hmac(secret, body, "base64")), "another signature");
    demand(/^[a-z_]+\.[a-z_]+$/.test(headers["x-commercelayer-topic"]), "no topic");
  },
  ordergroove: ({ secret, headers, body }) => {
    const fields = headers["ordergroove-signature"].split(",").map((field) => field.split("="));
    const ts = fields.find(([name]) => name === "ts")[1];
    const want = hmac(secret, `${ts}.${body}`, "hex");
    demand(fields.some(([name, value]) => name === "sig" && same(value, want)), "another signature");
  },
  up42: ({ secret, headers, body }) => {
    const input = headers["signature-input"];
    const names = input.match(/up42-sig=\(([^)]*)\);/)[1].match(/[^"\s]+/g);
    const signed = names.map((name) => headers[name]).join("");
    demand(same(headers["signature"].replace(/^up42-sig=/, ""), hmac(secret, signed, "base64")), "another signature");
    const digest = createHash("sha256").update(body).digest("base64");
    demand(headers["content-digest"] === `sha-256=:${digest}:`, "another body");
    demand(Math.abs(Date.now() / 1000 - Number(input.match(/created=(\d{10,20})/)[1])) < 300, "too old");
  },
};

let text = "";
for await (const chunk of process.stdin) text += chunk;
const results = JSON.parse(text).map((request) => {
  try {
    receivers[request.profile](request);
    return null;
  } catch (error) {
    return String(error.message ?? error);
  }
});
process.stdout.write(JSON.stringify(results));
