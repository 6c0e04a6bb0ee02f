// `auth-gateway token`: makes a token for ops, by way of the running gateway, so that it belongs to a session
// like any other; and takes one apart, and says what would become of it here. What is printed of an inspected
// token cannot be used.

import Configuration
import Network
import Primitives
import Proxy

/// A request of `auth-gateway token`.
enum TokenRequest: Equatable {
    case issue(subject: String, claims: String?, label: String?, isJSON: Bool)
    /// nil: the token comes by standard input, which no list of processes shows.
    case inspect(token: String?, isJSON: Bool)

    init(_ verb: Verb, _ arguments: Arguments) {
        let word = arguments.words.first
        if verb.name == "token issue", let subject = word {
            self = .issue(
                subject: subject, claims: arguments.value("--claims"), label: arguments.value("--label"),
                isJSON: arguments.isJSON)
        } else {
            self = .inspect(token: word == "-" ? nil : word, isJSON: arguments.isJSON)
        }
    }
}

/// Carries out `auth-gateway token`.
enum TokenCommand {
    typealias Problem = StateDirectory.Problem

    static func run(_ request: TokenRequest, configuration path: String) -> ExitCode {
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        do throws(Problem) {
            let control = try client(configuration)
            switch request {
            case .issue(let subject, let claims, let label, let isJSON):
                try issue(subject, claims, label, isJSON: isJSON, control)
                return .success
            case .inspect(let token, let isJSON):
                let text = token ?? Console.line()
                return try inspect(text, isJSON: isJSON, control) ? .success : .failure
            }
        } catch {
            Console.error("auth-gateway: \(error.reason)")
            return .failure
        }
    }

    private static func issue(
        _ subject: String, _ claims: String?, _ label: String?, isJSON: Bool, _ control: ControlClient
    ) throws(Problem) {
        var body = JSONWriter()
        body.beginObject()
        body.string("subject", subject)
        if let claims {
            guard let document = try? JSONDocument(parsing: Array(claims.utf8)), document.root.kind == .object
            else { throw Problem(reason: "--claims is no JSON object") }
            body.json("claims", document.root.text)
        }
        body.string("label", label ?? "auth-gateway token issue")
        body.endObject()
        let answer = try ask(control, "/sessions", body.bytes)
        let document = try? JSONDocument(parsing: answer.body)
        guard answer.status == 201, let token = document?.root["access_token"]?.string else {
            let detail = document?.root["detail"]?.string ?? "status \(answer.status)"
            throw Problem(reason: "the gateway issues no token: \(detail)")
        }
        Console.print(isJSON ? String(decoding: answer.body, as: UTF8.self) : token)
    }

    /// - Returns: whether the token would be accepted.
    private static func inspect(
        _ token: String, isJSON: Bool, _ control: ControlClient
    ) throws(Problem) -> Bool {
        let verdict = try inspection(of: token, control)
        let parts = TokenParts(token)
        Console.print(isJSON ? parts.json(verdict.root) : parts.text(verdict.root))
        return verdict.root["verdict"]?.string == "accepted"
    }

    /// What the running gateway says of a token.
    static func inspection(
        of token: String, _ configuration: GatewayConfiguration
    ) throws(Problem) -> JSONDocument {
        try inspection(of: token, client(configuration))
    }

    private static func client(_ configuration: GatewayConfiguration) throws(Problem) -> ControlClient {
        guard let control = ControlClient(configuration) else {
            throw Problem(reason: "the configuration has no control listener to ask")
        }
        return control
    }

    private static func inspection(
        of token: String, _ control: ControlClient
    ) throws(Problem) -> JSONDocument {
        if token.isEmpty { throw Problem(reason: "there is no token to inspect") }
        var body = JSONWriter()
        body.beginObject()
        body.string("token", token)
        body.endObject()
        let answer = try ask(control, "/tokens/inspect", body.bytes)
        guard answer.status == 200, let verdict = try? JSONDocument(parsing: answer.body) else {
            throw Problem(reason: "the gateway does not say: status \(answer.status)")
        }
        return verdict
    }

    private static func ask(
        _ control: ControlClient, _ target: String, _ json: [UInt8]
    ) throws(Problem) -> (status: Int, body: [UInt8]) {
        guard let answer = try control.ask("POST", target, json: json) else {
            throw Problem(reason: "no gateway answers at \(control.address)")
        }
        return answer
    }
}

/// A token taken apart, believed in nothing, and without what would make it usable.
struct TokenParts {
    private let header: JSONDocument?
    /// What it claims; nil where that cannot be read.
    let claims: JSONDocument?

    init(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        func document(_ index: Int) -> JSONDocument? {
            guard parts.count == 3, let bytes = Base64URL.decode(Array(parts[index].utf8).span) else {
                return nil
            }
            return try? JSONDocument(parsing: bytes)
        }
        header = document(0)
        claims = document(1)
    }

    func text(_ verdict: JSONValue) -> String {
        var lines: [String] = []
        for (title, document) in [("header", header), ("claims", claims)] {
            guard let document else { continue }
            lines.append("\(title):")
            for (name, value) in document.root.members {
                let line = "\(name): \(Self.shown(name, value))\(Self.time(name, value))"
                lines.append("  \(line.withoutControls)")
            }
        }
        if header == nil { lines.append("This is no JWT.") }
        for (name, value) in verdict.members {
            lines.append(
                "\(name): \((value.string ?? String(decoding: value.text, as: UTF8.self)).withoutControls)")
        }
        return lines.joined(separator: "\n")
    }

    func json(_ verdict: JSONValue) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        for (title, document) in [("header", header), ("claims", claims)] {
            guard let document, document.root.kind == .object else { continue }
            writer.json(
                title,
                Array("{".utf8)
                    + document.root.members.map { name, value in
                        var member = JSONWriter()
                        member.string(nil, name)
                        return String(decoding: member.bytes, as: UTF8.self) + ":" + Self.shown(name, value)
                    }.joined(separator: ",").utf8 + Array("}".utf8))
        }
        for (name, value) in verdict.members { writer.json(name, value.text) }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// A claim as JSON. The refresh token in a single token, or in a signed one, is a secret.
    private static func shown(_ name: String, _ value: JSONValue) -> String {
        name == "rt" ? "\"••••\"" : String(decoding: value.text, as: UTF8.self)
    }

    /// What a number of seconds means to people.
    private static func time(_ name: String, _ value: JSONValue) -> String {
        guard ["exp", "nbf", "iat", "auth_time"].contains(name), let seconds = value.wholeNumber,
            (0...253_402_300_799).contains(seconds)
        else { return "" }
        return "  (\(CivilTime(WallTime(seconds: seconds)).rfc3339))"
    }
}
