// The users of the demo and their login: the one place where an existing API meets the gateway.
//
// All that the login adds to its answer is `Session-Start: <user>`; the two fields beside it are optional. On
// a route that is marked `login` the gateway takes them out, begins a session and delivers its tokens. What
// ends sessions says so with `Session-End`, which counts on a route marked `session_control`.

import HTTP
import Primitives

/// A user of the demo.
struct Account {
    let name: String
    let password: String
    let role: String
    let scope: String
}

/// What an answer says is to end.
enum SessionEnd: String {
    /// The session that asks: a log-out.
    case session
    /// Every session of the subject: the account is gone.
    case subject
    /// Every session of the subject but the one that asks: a new password.
    case others
    /// The access tokens of the subject, not its sessions: a new role.
    case access
}

/// The users, who are known to everybody: it is a demo.
enum Accounts {
    private static let all = [
        Account(name: "alice", password: "wonderland", role: "admin", scope: "items:read items:write"),
        Account(name: "bob", password: "builder", role: "user", scope: "items:read"),
    ]

    /// `POST /login` with `user` and `password`, as JSON or from the form of a page.
    static func login(_ request: Request) -> Answer {
        guard let parameters = request.parameters, let user = parameters["user"],
            let password = parameters["password"]
        else { return .problem(400, "user_and_password") }
        guard let account = all.first(where: { $0.name == user && $0.password == password }) else {
            // One answer for both mistakes: which names exist is nobody's business.
            return .problem(401, "wrong_user_or_password")
        }
        return welcome(account, request).adding("Session-Start", account.name)
            .adding("Session-Claims", claims(of: account))
            .adding("Session-Label", label(of: request))
    }

    /// An action after which sessions are to end. The demo changes nothing of its own, so that it can be
    /// repeated.
    static func ending(_ scope: SessionEnd) -> Answer {
        let answer =
            scope == .session ? Answer.empty(204) : .json(200) { $0.string("ended", scope.rawValue) }
        return answer.adding("Session-End", scope.rawValue)
    }

    /// A page's form goes on to the application; a program gets JSON.
    private static func welcome(_ account: Account, _ request: Request) -> Answer {
        if request.isForm { return Answer.empty(303).adding("Location", "/app") }
        return .json(200) { json in
            json.string("user", account.name)
            json.string("role", account.role)
        }
    }

    private static func claims(of account: Account) -> String {
        var json = JSONWriter()
        json.beginObject()
        json.string("role", account.role)
        json.string("scope", account.scope)
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// What the user will recognise the session by in a list: the start of the user agent. It goes into a
    /// field of the answer, so only visible ASCII and blanks pass: whatever else a client sends must not
    /// start another line.
    private static func label(of request: Request) -> String {
        let agent = request.field("user-agent") ?? "unknown client"
        let visible = agent.utf8.filter { $0 >= 0x20 && $0 < 0x7F }.prefix(labelBytesMax)
        return String(decoding: visible, as: UTF8.self)
    }

    private static let labelBytesMax = 60
}
