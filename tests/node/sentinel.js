// ioredis with Sentinels: finds the primary, follows its changes, hears of them: sentinel.js HOST:PORT...
"use strict";

const Redis = require("ioredis");

const sentinels = process.argv.slice(2).map((word) => {
  const at = word.lastIndexOf(":");
  return { host: word.slice(0, at), port: Number(word.slice(at + 1)) };
});
const patience = 60_000;
const quietly = () => {};

// With the detector the client looks for the primary again when a Sentinel says that it is another.
const client = new Redis({ sentinels, name: "mymaster", failoverDetector: true, maxRetriesPerRequest: null });
client.on("error", quietly);
const watchers = sentinels.map(({ host, port }) => {
  const watcher = new Redis({ host, port, maxRetriesPerRequest: null });
  watcher.on("error", quietly);
  return watcher;
});
const switches = new Set();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Where the client is connected to, once that is a primary which takes a write.
async function primary(value) {
  for (const end = Date.now() + patience; Date.now() < end; await pause(20)) {
    try {
      const [role] = await client.role();
      const host = client.stream.remoteAddress;
      const done = role === "master" && (await client.set("key", value)) === "OK";
      if (done && host && client.stream.remoteAddress === host) return host;
    } catch (error) {
      // In between there is none.
    }
  }
  throw new Error("no primary");
}

async function main() {
  await Promise.all(
    watchers.map(async (watcher) => {
      watcher.on("message", (channel, message) => switches.add(message));
      await watcher.subscribe("+switch-master");
    })
  );
  let at = await primary("first");
  console.log(`ready ${at}`);
  for (const kind of ["asked for", "killed"]) {
    const old = at;
    const end = Date.now() + patience;
    while ((at = await primary(kind)) === old) {
      if (Date.now() > end) throw new Error(`still at ${old}`);
      await pause(20);
    }
    const heard = () => [...switches].some((message) => {
      const [name, from, , to] = message.split(" ");
      return name === "mymaster" && from === old && to === at;
    });
    while (!heard()) {
      if (Date.now() > end) throw new Error(`no message of ${old} and ${at} in ${[...switches]}`);
      await pause(20);
    }
    if ((await client.get("key")) !== kind) throw new Error("a write is lost");
    console.log(`followed ${at}`);
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
