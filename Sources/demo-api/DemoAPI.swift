// The endpoints of the demo API. Those that change who may come in say so with one field, `Session-Start` or
// `Session-End`; the gateway acts on it and takes it out of the answer. Nothing else here has to do with
// sessions.

import HTTP
import Primitives

/// The API and what it remembers. Owned by: the loop's serial queue.
final class DemoAPI {
    private var items = ["ink", "paper", "twine"]

    /// Answers a request whose body is complete.
    func answer(_ request: Request) -> Answer {
        // RFC 9110 §9.3.2: HEAD is GET whose body is not sent; the connection leaves it out.
        let method = request.method == .head ? .get : request.method
        switch (method, request.path) {
        case (.get, "/"), (.get, "/login.html"): return .page(Pages.login)
        case (.get, "/app"): return .page(Pages.app)
        case (.post, "/login"): return Accounts.login(request)
        case (.get, "/whoami"): return describeCaller(request)
        case (.get, "/items"): return listItems()
        case (.post, "/items"): return addItem(request)
        case (.post, "/account/password"): return Accounts.ending(.others)
        case (.post, "/account/delete"): return Accounts.ending(.subject)
        case (.post, "/account/role"): return Accounts.ending(.access)
        case (.post, "/account/logout"): return Accounts.ending(.session)
        case (.get, "/events"): return events(request)
        case (.get, "/slow"): return slow(request)
        case (.get, "/bytes"): return pattern(request)
        case (.get, "/healthz"): return .json(200) { $0.boolean("ok", true) }
        case (.get, _) where Self.describedPrefixes.contains(where: request.path.hasPrefix):
            return describeCaller(request)
        default: return .problem(404, "not_found")
        }
    }

    // MARK: - Who calls

    /// What the gateway says about the caller, and what of the request arrived here: in the demo, an API's
    /// view of the gateway's work. Of credentials only whether they are there.
    private func describeCaller(_ request: Request) -> Answer {
        .json(200) { json in
            func member(_ name: String, _ value: String?) {
                if let value { json.string(name, value) } else { json.null(name) }
            }
            member("subject", request.field("x-auth-subject"))
            member("session", request.field("x-auth-session"))
            member("scope", request.field("x-auth-scope"))
            member("role", request.field("x-auth-role"))
            member("forwarded_for", request.field("x-forwarded-for"))
            member("host", request.host)
            json.beginArray("cookie")
            for name in cookieNames(request) { json.string(nil, name) }
            json.endArray()
            json.boolean("authorization", request.field("authorization") != nil)
        }
    }

    private func cookieNames(_ request: Request) -> [String] {
        request.allFields("cookie").flatMap { $0.split(separator: ";") }.map { pair in
            String(pair.drop { $0 == " " }.prefix { $0 != "=" })
        }
    }

    // MARK: - Items

    private func listItems() -> Answer {
        .json(200) { json in
            json.beginArray("items")
            for item in items { json.string(nil, item) }
            json.endArray()
        }
    }

    private func addItem(_ request: Request) -> Answer {
        guard let name = request.parameters?["name"], !name.isEmpty, name.utf8.count <= Self.nameBytesMax
        else {
            return .problem(400, "name")
        }
        // The oldest goes: a demo that runs for weeks keeps its size.
        if items.count >= Self.itemsMax { items.removeFirst() }
        items.append(name)
        return .json(201) { $0.string("name", name) }
    }

    // MARK: - Bodies that take their time

    private func events(_ request: Request) -> Answer {
        Answer(
            status: 200, fields: [("Cache-Control", "no-store")], contentType: "text/event-stream",
            body: .events(subject: request.field("x-auth-subject")))
    }

    private func slow(_ request: Request) -> Answer {
        guard let wait = request.query.number("ms", upTo: Self.slowMillisecondsMax, orElse: 1_000) else {
            return .problem(400, "ms")
        }
        var answer = Answer.json(200) { $0.number("waited_ms", Int64(wait)) }
        answer.delayMilliseconds = Int64(wait)
        return answer
    }

    private func pattern(_ request: Request) -> Answer {
        guard let count = request.query.number("n", upTo: Self.patternBytesMax, orElse: 1_024) else {
            return .problem(400, "n")
        }
        let isChunked = request.query["chunked"] == "1"
        return Answer(
            status: 200, fields: [("Cache-Control", "no-store")], contentType: "application/octet-stream",
            body: .pattern(count: count, isChunked: isChunked))
    }

    /// Paths of the example configuration that show what their route lets through.
    private static let describedPrefixes = ["/public/", "/feed/", "/admin/"]
    private static let itemsMax = 100
    private static let nameBytesMax = 100
    private static let slowMillisecondsMax: UInt64 = 600_000
    private static let patternBytesMax: UInt64 = 1 << 40
}
