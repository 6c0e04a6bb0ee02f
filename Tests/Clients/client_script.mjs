// Drives /refresh/client.js with a fake gateway: the file named by the first argument. Prints nothing when all
// is well.

import assert from "node:assert/strict"
import { pathToFileURL } from "node:url"

const { Session } = await import(pathToFileURL(process.argv[2]))
const ORIGIN = "https://api.example"

function refused(code) {
    return Response.json({ code }, { status: 401, headers: { "content-type": "application/problem+json" } })
}

// A gateway as the script sees it: `refresh` and `answer` are lists of what comes next, the last for good.
function gateway({ refresh = [], answer = [], stored = null, locks } = {}) {
    const calls = [], pauses = [], over = []
    const next = (list, otherwise) => (list.length > 1 ? list.shift() : list[0] ?? otherwise)
    const storage = { text: stored, read: () => storage.text, write: (text) => (storage.text = text) }
    const one = {
        calls, pauses, over, storage,
        refreshes: () => calls.filter((call) => call.path === "/refresh/").length,
        requests: () => calls.filter((call) => call.path !== "/refresh/"),
    }
    async function fetch(input, init) {
        const request = new Request(input, init?.body instanceof ReadableStream ? { ...init, duplex: "half" } : init)
        const url = new URL(request.url)
        calls.push({ path: url.pathname, method: request.method, body: await request.text(), host: url.host })
        await null
        const made = url.pathname === "/refresh/"
            ? next(refresh, () => Response.json({ expires_in: 900 }))
            : next(answer, () => new Response("ok"))
        return made()
    }
    one.session = new Session({
        url: ORIGIN + "/refresh/", fetch, storage, locks, pause: async (seconds) => pauses.push(seconds),
    })
    one.session.addEventListener("over", () => over.push("over"))
    one.fetch = (path, init) => one.session.fetch(path instanceof Request ? path : ORIGIN + path, init)
    return one
}

const times = (ahead, until) =>
    JSON.stringify({ ahead: Date.now() + ahead * 1000, until: Date.now() + until * 1000 })
const FRESH = times(500, 600)

const cases = {
    async "a page that knows nothing asks by refreshing, once for all that wait"() {
        const one = gateway()
        await Promise.all(Array.from({ length: 10 }, (_, n) => one.fetch("/" + n)))
        assert.equal(one.refreshes(), 1)
        assert.equal(one.calls[0].method, "POST")
        assert.equal(one.requests().length, 10)
        const { ahead, until } = JSON.parse(one.storage.text)
        assert.ok(Math.abs(until - Date.now() - 900_000) < 5000 && Math.abs(until - ahead - 60_000) < 10)
    },
    async "fresh tokens are used as they are"() {
        const one = gateway({ stored: FRESH })
        await one.fetch("/a")
        assert.deepEqual([one.refreshes(), one.requests().length], [0, 1])
    },
    async "tokens that soon expire are refreshed beside the request, expired ones before it"() {
        let release
        const slow = gateway({
            stored: times(-1, 60),
            refresh: [() => new Promise((done) => (release = () => done(Response.json({ expires_in: 900 }))))],
        })
        assert.equal((await slow.fetch("/a")).status, 200)
        assert.equal(slow.refreshes(), 1)
        release()
        const expired = gateway({ stored: times(-60, -1) })
        await expired.fetch("/a")
        assert.deepEqual(expired.calls.map((call) => call.path), ["/refresh/", "/a"])
    },
    async "short-lived tokens are refreshed a tenth before their end"() {
        const one = gateway({ refresh: [() => Response.json({ expires_in: 10 })] })
        await one.fetch("/a")
        const { ahead, until } = JSON.parse(one.storage.text)
        assert.ok(Math.abs(until - ahead - 1000) < 10)
    },
    async "a refused token is refreshed and the request repeated once, body and all"() {
        for (const code of ["token_expired", "token_revoked"]) {
            const one = gateway({ stored: FRESH, answer: [() => refused(code), () => new Response("ok")] })
            const reply = await one.fetch("/a", { method: "PUT", body: "text" })
            assert.equal(reply.status, 200)
            assert.deepEqual(one.requests().map((call) => [call.method, call.body]), [["PUT", "text"], ["PUT", "text"]])
        }
        const never = gateway({ stored: FRESH, answer: [() => refused("token_expired")] })
        assert.equal((await never.fetch("/a")).status, 401)
        assert.deepEqual([never.refreshes(), never.requests().length], [1, 2])
    },
    async "so is one that is a Request with a body"() {
        const one = gateway({ stored: FRESH, answer: [() => refused("token_expired"), () => new Response("ok")] })
        const request = new Request(ORIGIN + "/a", { method: "POST", body: "text" })
        assert.equal((await one.fetch(request)).status, 200)
        assert.deepEqual(one.requests().map((call) => call.body), ["text", "text"])
    },
    async "a stream is sent once only"() {
        const one = gateway({ stored: FRESH, answer: [() => refused("token_expired")] })
        const body = new Blob(["text"]).stream()
        assert.equal((await one.fetch("/a", { method: "POST", body, duplex: "half" })).status, 401)
        assert.deepEqual([one.refreshes(), one.requests().length], [1, 1])
    },
    async "other refusals are the page's business"() {
        const forbidden = () => Response.json({ code: "insufficient_scope" }, { status: 403 })
        for (const answer of [() => refused("token_signature"), forbidden, () => new Response("no", { status: 401 })]) {
            const one = gateway({ stored: FRESH, answer: [answer] })
            await one.fetch("/a")
            assert.deepEqual([one.refreshes(), one.requests().length], [0, 1])
        }
    },
    async "the answer's body is left for the page to read"() {
        const one = gateway({ stored: FRESH, answer: [() => refused("token_signature")] })
        assert.equal((await (await one.fetch("/a")).json()).code, "token_signature")
    },
    async "an outage is waited out, as long as it says, and ends no session"() {
        const outage = (seconds) => () => new Response("", { status: 503, headers: { "retry-after": seconds } })
        const one = gateway({ refresh: [outage("2"), outage("3"), () => Response.json({ expires_in: 900 })] })
        assert.equal((await one.fetch("/a")).status, 200)
        assert.deepEqual(one.pauses, [2, 3])
        const long = gateway({ stored: times(-60, -1), refresh: [outage("86400")] })
        assert.equal((await long.fetch("/a")).status, 200, "the request goes out all the same")
        assert.deepEqual([long.pauses, long.refreshes(), long.over], [[30, 30], 3, []])
        const limited = gateway({ refresh: [() => new Response("", { status: 429 }), () => Response.json({ expires_in: 9 })] })
        await limited.fetch("/a")
        assert.deepEqual(limited.pauses, [1])
    },
    async "an answer that is lost is asked for again"() {
        const lost = () => Promise.reject(new TypeError("network"))
        const one = gateway({ refresh: [lost, () => Response.json({ expires_in: 900 })] })
        await one.fetch("/a")
        assert.deepEqual([one.refreshes(), one.pauses], [2, [1]])
    },
    async "a session that is over is told, and not asked for again"() {
        const ended = () => refused("session_ended")
        const one = gateway({ stored: times(-60, -1), refresh: [ended], answer: [() => refused("token_missing")] })
        for (let n = 0; n < 3; n++) assert.equal((await one.fetch("/a")).status, 401)
        assert.deepEqual([one.over, one.refreshes(), one.pauses], [["over"], 1, []])
        const sudden = gateway({ stored: FRESH, refresh: [ended], answer: [ended] })
        await sudden.fetch("/a")
        assert.deepEqual([sudden.over, sudden.requests().length], [["over"], 1])
    },
    async "a visitor without a session has lost none, and may log in"() {
        const none = () => Response.json({ code: "invalid_request" }, { status: 400 })
        const one = gateway({ refresh: [none, () => Response.json({ expires_in: 900 })] })
        for (let n = 0; n < 3; n++) await one.fetch("/a")
        assert.deepEqual([one.over, one.refreshes()], [[], 1])
        // Whoever has logged in meanwhile shows by a token that expires.
        const after = gateway({ stored: "none", answer: [() => refused("token_expired"), () => new Response("ok")] })
        assert.equal((await after.fetch("/a")).status, 200)
    },
    async "a logout ends the asking; nothing under the refresh path is refreshed for"() {
        const one = gateway({ stored: times(-60, -1), answer: [() => new Response(null, { status: 204 })] })
        await one.fetch("/refresh/logout", { method: "POST" })
        await one.fetch("/a")
        assert.deepEqual([one.refreshes(), one.over], [0, []])
    },
    async "requests to other origins pass as they are"() {
        const one = gateway({ answer: [() => refused("token_expired")] })
        await one.session.fetch("https://elsewhere.example/x", { method: "POST", body: "text" })
        assert.deepEqual(one.calls.map((call) => call.host), ["elsewhere.example"])
    },
    async "who waits for another tab's refresh uses what it brought"() {
        const one = gateway({
            stored: times(-60, -1),
            locks: { request: async (_, work) => (one.storage.write(FRESH), work()) },
        })
        await one.fetch("/a")
        assert.deepEqual([one.refreshes(), one.requests().length], [0, 1])
    },
}

for (const [name, run] of Object.entries(cases)) {
    await run().catch((error) => {
        console.log(`${name}: ${error.stack}`)
        process.exitCode = 1
    })
}
console.log(`${Object.keys(cases).length} cases`)
