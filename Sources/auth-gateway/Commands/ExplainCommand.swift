// `auth-gateway explain`: what becomes of a request, and by which rule. The rules are the very ones that
// requests go through; a token is judged by the running gateway, which has the keys and the revocations.

import Configuration
import Network
import Primitives
import Proxy

/// Carries out `auth-gateway explain`.
enum ExplainCommand {
    typealias Problem = StateDirectory.Problem

    static func run(_ request: ExplainRequest, configuration path: String) -> ExitCode {
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        if let issuer = request.sample.token?.issuer,
            !configuration.issuers.contains(where: { $0.issuer == issuer })
        {
            Console.error("auth-gateway: there is no issuer '\(issuer.withoutControls)' in \(path)")
            return .usage
        }
        do throws(Problem) {
            let presented = try request.token.map { (source) throws(Problem) in
                try judge(text(of: source), configuration)
            }
            let verdict = try verdict(on: request.sample, presented, configuration)
            let account = VerdictAccount(request: request.sample, verdict: verdict)
            Console.print(request.isJSON ? account.json : account.text)
            return verdict.isRefusal ? .failure : .success
        } catch {
            Console.error("auth-gateway: \(error.reason)")
            return .failure
        }
    }

    private static func verdict(
        on sample: SampleRequest, _ presented: TrialToken?, _ configuration: GatewayConfiguration
    ) throws(Problem) -> TrialVerdict {
        do throws(RuntimeError) {
            return try PolicyTrial(configuration).verdict(
                on: sample, presenting: presented, now: Clock.wall)
        } catch {
            throw Problem(reason: error.reason)
        }
    }

    private static func text(of source: ExplainRequest.TokenSource) throws(Problem) -> String {
        var text: String
        switch source {
        case .text(let given): text = given
        case .standardInput: text = Console.line()
        case .file(let path):
            do throws(SystemError) {
                text = String(decoding: try Files.read(path), as: UTF8.self)
            } catch {
                throw Problem(reason: "\(path) cannot be read: \(error.reason)")
            }
            while text.last?.isWhitespace == true { text.removeLast() }
        }
        // Anything else would be another field of the request.
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem(reason: "there is no token, or it is none: a token has no blanks")
        }
        return text
    }

    /// What the running gateway says of a token.
    private static func judge(
        _ token: String, _ configuration: GatewayConfiguration
    ) throws(Problem) -> TrialToken {
        let answer = try TokenCommand.inspection(of: token, configuration).root
        if answer["kind"]?.string == "refresh_token" { return .unread(token) }
        let claims = TokenParts(token).claims?.bytes
        if answer["verdict"]?.string == "accepted", let claims { return .accepted(claims: claims) }
        guard let refusal = answer["code"]?.string.flatMap(TokenRefusal.init(code:)) else {
            throw Problem(reason: "the gateway says nothing of the token that is known here")
        }
        return .refused(refusal, claims: claims)
    }
}

extension TrialVerdict {
    /// Whether the client does not get what it wants.
    fileprivate var isRefusal: Bool {
        switch outcome {
        case .refused, .redirected: true
        case .answered(let status): status >= 400
        case .forwarded, .own: false
        }
    }
}

/// A verdict for people and for programs.
private struct VerdictAccount {
    let request: SampleRequest
    let verdict: TrialVerdict

    var text: String {
        let width = verdict.steps.map { $0.rule.count }.max() ?? 0
        var lines = ["\(request.method) \(request.authority ?? "")\(request.target)"]
        for step in verdict.steps {
            let blanks = String(repeating: " ", count: width - step.rule.count)
            let word =
                switch step.result {
                case .passed, .note: ""
                case .refused: "REFUSED: "
                case .observed: "would be refused: "
                }
            lines.append("  \(step.rule)\(blanks)  \(word)\(step.text)")
        }
        lines.append("=> \(verdict.summary)")
        if !verdict.observed.isEmpty {
            lines.append("   only because the route is observed: \(verdict.observed)")
        }
        if case .forwarded(let forwarding) = verdict.outcome {
            lines.append("   as \(request.method) \(forwarding.target)")
            lines += forwarding.identity.map { "   \($0.name): \($0.value)" }
            if forwarding.hasToken { lines.append("   with its token") }
        }
        return lines.map(\.withoutControls).joined(separator: "\n")
    }

    var json: String {
        var writer = JSONWriter(reserving: 1024)
        writer.beginObject()
        writer.string("method", request.method)
        writer.string("target", request.target)
        if let route = verdict.route {
            writer.beginObject("route")
            writer.string("name", route.label)
            writer.string("file", route.place.file)
            writer.number("line", Int64(route.place.line))
            writer.endObject()
        }
        writer.beginArray("rules")
        for step in verdict.steps {
            writer.beginObject()
            writer.string("rule", step.rule)
            writer.string("result", step.result.rawValue)
            writer.string("text", step.text)
            writer.endObject()
        }
        writer.endArray()
        writeOutcome(to: &writer)
        if !verdict.observed.isEmpty { writer.string("observed", verdict.observed) }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func writeOutcome(to writer: inout JSONWriter) {
        if let status = verdict.status { writer.number("status", Int64(status)) }
        switch verdict.outcome {
        case .forwarded(let forwarding):
            writer.string("outcome", "forwarded")
            writer.string("upstream", forwarding.upstream)
            writer.string("upstream_target", forwarding.target)
            writer.beginObject("identity")
            for field in forwarding.identity { writer.string(field.name, field.value) }
            writer.endObject()
            writer.boolean("token_forwarded", forwarding.hasToken)
        case .answered: writer.string("outcome", "answered")
        case .redirected(_, let location, let code):
            writer.string("outcome", "redirected")
            writer.string("location", location)
            writer.string("code", code)
        case .refused(_, let code):
            writer.string("outcome", "refused")
            writer.string("code", code)
        case .own: writer.string("outcome", "own")
        }
    }
}
