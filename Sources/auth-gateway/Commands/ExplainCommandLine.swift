// The arguments of `auth-gateway explain`: a request, and what is said of its token.

import Configuration
import Primitives

/// A request of `auth-gateway explain`.
struct ExplainRequest: Equatable {
    /// Where a real token comes from.
    enum TokenSource: Equatable {
        case text(String)
        case file(String)
        case standardInput
    }

    var sample: SampleRequest
    var token: TokenSource?
    var isJSON: Bool
}

extension ExplainRequest {
    private struct Options {
        var source: TokenSource?
        /// nil until something is said of a token.
        var token: SampleToken?
        var fields: [FieldText] = []
        var host: String?
    }

    init(_ arguments: Arguments) throws(UsageError) {
        var options = Options()
        if arguments.has("--expired") { Self.describe(&options) { $0.isExpired = true } }
        for (name, value) in arguments.values {
            do throws(ValueProblem) {
                try Self.take(name, value, into: &options)
            } catch {
                throw arguments.problem(
                    "\(name): '\(value.withoutControls)' \(error.reason): \(error.help)")
            }
        }
        if options.source != nil, options.token != nil {
            throw arguments.problem("a token is either given or described")
        }
        var sample = try Self.sample(arguments, host: options.host)
        sample.fields = options.fields
        sample.token = options.token
        let isInCookie = arguments.has("--cookie")
        if isInCookie || options.source != nil {
            var token = options.token ?? SampleToken()
            token.isInCookie = isInCookie
            sample.token = token
        }
        self.init(sample: sample, token: options.source, isJSON: arguments.isJSON)
    }

    private static func take(
        _ name: String, _ value: String, into options: inout Options
    ) throws(ValueProblem) {
        switch name {
        case "--token": options.source = value == "-" ? .standardInput : .text(value)
        case "--token-file": options.source = .file(value)
        case "--claim":
            let claim = try SampleDecoding.claim(value)
            describe(&options) { $0.claims.append(claim) }
        case "--scope": describe(&options) { $0.scopes.append(value) }
        case "--subject": describe(&options) { $0.subject = value }
        case "--issuer": describe(&options) { $0.issuer = value }
        case "--header": options.fields.append(try field(value))
        case "--host": options.host = value
        default: break
        }
    }

    private static func describe(_ options: inout Options, _ change: (inout SampleToken) -> Void) {
        var token = options.token ?? SampleToken()
        change(&token)
        options.token = token
    }

    /// `Name: value`, as curl has it.
    private static func field(_ text: String) throws(ValueProblem) -> FieldText {
        guard let colon = text.firstIndex(of: ":") else { return try SampleDecoding.field(text) }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        return try SampleDecoding.field(String(text[..<colon]), String(value))
    }

    /// The request itself: its method, its target, and its host.
    private static func sample(_ arguments: Arguments, host: String?) throws(UsageError) -> SampleRequest {
        let words = arguments.words
        var sample: SampleRequest
        do throws(ValueProblem) {
            let method = try SampleDecoding.method(words.count == 2 ? words[0] : "GET")
            sample = try SampleDecoding.request(method: method, target: words.last ?? "")
        } catch {
            let text = words.joined(separator: " ").withoutControls
            throw arguments.problem("'\(text)' \(error.reason): \(error.help)")
        }
        if let host {
            guard sample.authority == nil, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw arguments.problem("--host is one host name, and the target has none then")
            }
            sample.authority = host
        }
        return sample
    }
}
