// `auth-gateway sessions`: lists, explains, ends, copies and checks sessions. A running gateway is asked
// through its control listener, because no second process may have its database open; when none runs, the
// file itself is opened, and locked for as long as that takes.

import Configuration
import Network
import Primitives
import Proxy
import Sessions

/// A request of `auth-gateway sessions`.
enum SessionsRequest: Equatable {
    case list(subject: String?, isJSON: Bool)
    case explain(SessionID, isJSON: Bool)
    case end(SessionID)
    case backup(file: String)
    case check

    init(_ verb: Verb, _ arguments: Arguments) throws(UsageError) {
        let word = arguments.words.first
        switch verb.name {
        case "sessions list": self = .list(subject: word, isJSON: arguments.isJSON)
        case "sessions backup": self = .backup(file: word ?? "")
        case "sessions check": self = .check
        default:
            guard let sid = SessionID(text: word ?? "") else {
                let word = (word ?? "").withoutControls
                throw arguments.problem("'\(word)' is no session id; 'sessions list' shows them")
            }
            self = verb.name == "sessions end" ? .end(sid) : .explain(sid, isJSON: arguments.isJSON)
        }
    }
}

/// Carries out `auth-gateway sessions`.
struct SessionsCommand {
    typealias Problem = StateDirectory.Problem

    private let state: String
    private let control: ControlClient?

    static func run(_ request: SessionsRequest, configuration path: String) -> ExitCode {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        guard let configuration = loaded.configuration else {
            for diagnostic in loaded.diagnostics { Console.error(diagnostic.rendered) }
            Console.error(CheckCommand.summary(loaded, path))
            return .configuration
        }
        let command = SessionsCommand(
            state: configuration.stateDirectory, control: ControlClient(configuration))
        do throws(Problem) {
            return try command.run(request) ? .success : .failure
        } catch {
            Console.error("auth-gateway: \(error.reason)")
            return .failure
        }
    }

    /// False: done, and what was found is not good.
    private func run(_ request: SessionsRequest) throws(Problem) -> Bool {
        switch request {
        case .list(let subject, let isJSON): show(try list(subject), isJSON: isJSON)
        case .explain(let sid, let isJSON):
            let session = try find(sid)
            if isJSON {
                Console.print(String(decoding: session, as: UTF8.self))
            } else {
                Console.print(SessionAccount.explanation(of: try document(session).root))
            }
        case .end(let sid): try end(sid)
        case .backup(let file):
            let copy = try copy(beside: file)
            try moving(copy, to: file)
            Console.print("the sessions are in \(file)")
        case .check: return try check()
        }
        return true
    }

    // MARK: - Sessions

    private func list(_ subject: String?) throws(Problem) -> [UInt8] {
        let query = subject.map { "?subject=" + Self.percentEncoded($0) } ?? ""
        if let reply = try ask("GET", "/sessions" + query) { return reply.body }
        let store = try store(isReader: true)
        let found = try using { () throws(StoreError) in try store.list(subject: subject, limit: Self.listMax)
        }
        var body = JSONWriter()
        body.beginObject()
        body.beginArray("sessions")
        for session in found { SessionListing.write(session, now: Clock.wall, to: &body) }
        body.endArray()
        body.endObject()
        return body.bytes
    }

    private func show(_ body: [UInt8], isJSON: Bool) {
        if isJSON {
            Console.print(String(decoding: body, as: UTF8.self))
            return
        }
        guard let document = try? JSONDocument(parsing: body, nodesMax: Self.nodesMax) else { return }
        let sessions = document.root["sessions"]?.elements ?? []
        Console.print(SessionAccount.table(of: sessions))
    }

    private func find(_ sid: SessionID) throws(Problem) -> [UInt8] {
        if let reply = try ask("GET", "/sessions/" + sid.text) { return reply.body }
        let store = try store(isReader: true)
        guard let session = try using({ () throws(StoreError) in try store.find(sid) }) else {
            throw Problem(reason: Self.unknown)
        }
        var body = JSONWriter()
        SessionListing.write(session, now: Clock.wall, to: &body)
        return body.bytes
    }

    private func end(_ sid: SessionID) throws(Problem) {
        if try ask("DELETE", "/sessions/" + sid.text) == nil {
            let store = try store(isReader: false)
            let ending = Session.Ending(at: Clock.wall, reason: .control)
            let ended = try using { () throws(StoreError) in try store.end(sid, ending) }
            if ended == nil { throw Problem(reason: Self.unknown) }
        }
        Console.print("ended")
    }

    // MARK: - The database

    /// A whole copy, in a file of its own.
    private func copy(beside file: String) throws(Problem) -> String {
        if let reply = try ask("POST", "/backup") {
            guard let path = try document(reply.body).root["path"]?.string else {
                throw Problem(reason: "the gateway makes no copy of its store")
            }
            return path
        }
        let path = file + ".new"
        let store = try store(isReader: true)
        try removing(path)
        let copy = try using { () throws(StoreError) in try store.copy(to: path) }
        while try !using({ () throws(StoreError) in try copy.step() }) {}
        return path
    }

    /// Of a running gateway a copy is checked: it has what the file has, damage included.
    private func check() throws(Problem) -> Bool {
        var copied: String?
        if let control, try control.ask("GET", "/healthz") != nil {
            copied = try copy(beside: "\(state)/sessions.db")
        }
        let store = try store(isReader: true, at: copied)
        let damage = try using { () throws(StoreError) in try store.damage() }
        if let copied { for suffix in ["", "-wal", "-shm"] { try removing(copied + suffix) } }
        for finding in damage { Console.print(finding) }
        Console.print(damage.isEmpty ? "the database is whole" : "the database is damaged: restore a backup")
        return damage.isEmpty
    }

    private func store(isReader: Bool, at path: String? = nil) throws(Problem) -> SQLiteSessionStore {
        let path = path ?? "\(state)/sessions.db"
        return try using { () throws(StoreError) in try SQLiteSessionStore(path: path, isReader: isReader) }
    }

    // MARK: - Calls

    /// The answer of a running gateway; nil when none runs, or none that can be asked.
    private func ask(_ method: StaticString, _ target: String) throws(Problem) -> (
        status: Int, body: [UInt8]
    )? {
        guard let reply = try control?.ask(method, target) else { return nil }
        if (200..<300).contains(reply.status) { return reply }
        let detail = (try? JSONDocument(parsing: reply.body))?.root["detail"]?.string
        throw Problem(reason: detail ?? "the gateway answers \(reply.status)")
    }

    private func document(_ body: [UInt8]) throws(Problem) -> JSONDocument {
        guard let document = try? JSONDocument(parsing: body, nodesMax: Self.nodesMax) else {
            throw Problem(reason: "the gateway's answer cannot be read")
        }
        return document
    }

    private func using<Result>(_ verb: () throws(StoreError) -> Result) throws(Problem) -> Result {
        do throws(StoreError) { return try verb() } catch { throw Problem(reason: error.detail) }
    }

    private func moving(_ old: String, to new: String) throws(Problem) {
        do throws(SystemError) {
            try Files.move(old, to: new)
        } catch {
            throw Problem(reason: "\(new) cannot be written: \(error.reason)")
        }
    }

    private func removing(_ path: String) throws(Problem) { try StateDirectory.remove(path) }

    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "-")
            if isPlain { return String(UnicodeScalar(byte)) }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    private static let unknown = "No such session, or it has ended already"
    private static let listMax = 1000
    /// A thousand sessions with their claims and events.
    private static let nodesMax = 1_000_000
}
