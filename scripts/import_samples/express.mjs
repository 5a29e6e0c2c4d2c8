// Sessions as express-session and connect-redis write them, one JSON record a line.
//
//   node express.mjs <port of a Redis>
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { readFileSync } from "node:fs";
import { createClient } from "redis";

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const client = await createClient({ url: `redis://127.0.0.1:${process.argv[2]}` }).connect();
const library = `express-session ${version("express-session")}, connect-redis ${version("connect-redis")}`;

async function write(name, prefix, cookie) {
  const app = express();
  app.use(session({
    store: new RedisStore({ client, prefix }), secret: "keyboard cat", resave: false,
    saveUninitialized: false, cookie, rolling: true,
  }));
  app.get("/", (request, response) => {
    Object.assign(request.session, {
      user_id: 42, visits: 3, name: "alice",
      cart: { items: ["tea", "grün"], total: 4.5, note: null },
      flash: { info: ["hi"] }, passport: { user: "42" },
    });
    response.end();
  });
  const server = app.listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
  server.close();
  const sent = response.headers.get("set-cookie").split(";")[0];
  const id = decodeURIComponent(sent.split("=")[1]).slice(2).split(".")[0];
  const key = prefix + id;
  const value = Buffer.from(await client.get(key)).toString("hex");
  console.log(JSON.stringify({ name, library, cookie: sent, key, value, ttl: await client.ttl(key) }));
}

await write("express-session + connect-redis, written now", "sess:", {});
await write("express-session rolling, written now", "myapp:", { maxAge: 3_600_000, sameSite: "lax" });
await client.close();
