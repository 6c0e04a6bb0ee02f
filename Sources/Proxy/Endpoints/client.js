// A `fetch` that keeps the page's session refreshed. Nothing else is needed, and this is not needed either: it
// spares the detour over the refresh endpoint, and says when the session is over.
//
//     import { fetch, session } from "/refresh/client.js"
//     session.addEventListener("over", () => location.assign("/login.html"))
//
// Requests to other origins pass as they are. Before one to ours a token that has expired is refreshed, and one
// that soon will in the background: by one tab for all of them, and never while nobody asks for anything, so
// that a page which is left open does not keep its session alive. A 401 that says the token is no longer good
// is answered by a refresh and one repetition. The tokens themselves stay in cookies that no script can read.

const STORAGE_KEY = "auth-gateway.session"
const LOCK_NAME = "auth-gateway.refresh"
const TRIES_MAX = 3
const PAUSE_SECONDS_MAX = 30
// A tenth of the token's lifetime before its end, and a minute at most.
const AHEAD_SECONDS_MAX = 60
const SETTLE_MILLISECONDS = 50

// What a refresh may mend; and what it says for certain where there was a session: that it is over.
const STALE_TOKEN = new Set(["token_expired", "token_revoked"])
const LOST_SESSION = new Set(["session_ended", "token_missing"])
const NO_SESSION = "none"

export class Session extends EventTarget {
    #url
    #send
    #storage
    #locks
    #pause
    #refreshing = null

    constructor({ url, fetch, storage, locks, pause } = {}) {
        super()
        this.#url = new URL(url ?? new URL("./", import.meta.url))
        this.#send = fetch ?? globalThis.fetch.bind(globalThis)
        this.#storage = storage ?? pageStorage()
        this.#locks = locks ?? globalThis.navigator?.locks
        this.#pause = pause ?? ((seconds) => new Promise((done) => setTimeout(done, seconds * 1000)))
    }

    fetch = async (input, init) => {
        const target = new URL(input instanceof Request ? input.url : input, globalThis.document?.baseURI ?? this.#url)
        if (target.origin !== this.#url.origin) return this.#send(input, init)
        if (target.pathname.startsWith(this.#url.pathname.replace(/\/$/, ""))) {
            const response = await this.#send(input, init)
            if (response.ok && target.pathname.endsWith("/logout")) this.#storage.write(NO_SESSION)
            return response
        }
        const seen = this.#storage.read()
        const { ahead, until } = timesOf(seen)
        if (Date.now() >= until) await this.refresh(seen)
        else if (Date.now() >= ahead) this.refresh(seen)

        // The browser keeps what is sent until there is an answer; a stream can be sent once only.
        const isStream = init?.body instanceof globalThis.ReadableStream
        const spare = input instanceof Request && input.body && !isStream ? input.clone() : input
        const response = await this.#send(input, init)
        if (response.status !== 401) return response
        const code = await codeOf(response)
        const known = this.#storage.read()
        // This very request may have found out already.
        const hasJustEnded = known === NO_SESSION && seen !== NO_SESSION
        const isWorthIt = STALE_TOKEN.has(code) || (LOST_SESSION.has(code) && isSession(known))
        if (hasJustEnded || !isWorthIt) return response
        return (await this.refresh(seen)) && !isStream ? this.#send(spare, init) : response
    }

    // Whether there are new tokens. `seen`: what was known of the old ones when they were used.
    refresh(seen = this.#storage.read()) {
        this.#refreshing ??= this.#alone(async () => {
            const known = this.#storage.read()
            // Another tab has refreshed while this one waited.
            if (known !== seen && isSession(known) && timesOf(known).until > Date.now()) return true
            const isRefreshed = await this.#ask(known)
            // What was written takes a moment to reach the process of another tab, whose turn is next.
            await new Promise((done) => setTimeout(done, SETTLE_MILLISECONDS))
            return isRefreshed
        }).finally(() => (this.#refreshing = null))
        return this.#refreshing
    }

    // Without locks (a page that is neither https nor local has none) tabs may ask at once: the gateway gives
    // all of them the same tokens.
    async #alone(work) {
        return this.#locks ? this.#locks.request(LOCK_NAME, work) : work()
    }

    async #ask(known) {
        for (let tries = 1; ; tries++) {
            const response = await this.#send(this.#url, { method: "POST" }).catch(() => null)
            if (response?.ok) {
                const lifetime = (await response.json()).expires_in
                // Told in whole seconds: the last one may have begun already.
                const rest = Math.max(lifetime - 1, 0)
                const ahead = Math.max(rest - Math.min(lifetime / 10, AHEAD_SECONDS_MAX), 0)
                const [aheadAt, until] = [ahead, rest].map((seconds) => Date.now() + seconds * 1000)
                this.#storage.write(JSON.stringify({ ahead: aheadAt, until }))
                return true
            }
            // No answer, an outage, or too many: the session goes on, and so does its token.
            if (!response || response.status >= 500 || response.status === 429) {
                if (tries === TRIES_MAX) return false
                const seconds = Number(response?.headers.get("retry-after") ?? 1)
                await this.#pause(Math.min(seconds || 1, PAUSE_SECONDS_MAX))
                continue
            }
            this.#storage.write(NO_SESSION)
            // A visitor who had no session has lost none.
            if (response.status === 401 || isSession(known)) this.dispatchEvent(new Event("over"))
            return false
        }
    }
}

function isSession(known) {
    return known !== null && known !== NO_SESSION
}

// When to refresh: at once where nothing is known, and never where there is no session.
function timesOf(known) {
    if (known === NO_SESSION) return { ahead: Infinity, until: Infinity }
    return JSON.parse(known ?? '{ "ahead": 0, "until": 0 }')
}

async function codeOf(response) {
    return (await response.clone().json().catch(() => null))?.code
}

// What all tabs know; a page that may not store anything knows it for itself.
function pageStorage() {
    let own = null
    return {
        read() {
            try {
                return globalThis.localStorage.getItem(STORAGE_KEY)
            } catch {
                return own
            }
        },
        write(text) {
            own = text
            try {
                globalThis.localStorage.setItem(STORAGE_KEY, text)
            } catch {
                // Kept above.
            }
        },
    }
}

export const session = new Session()
export const fetch = session.fetch
