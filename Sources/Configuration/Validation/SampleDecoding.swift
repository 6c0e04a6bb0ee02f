// Text to the parts of a described request: of `expect`, and of the options of `auth-gateway explain`.

import Primitives

package enum SampleDecoding {
    /// RFC 9110 §9.1: a token, case-sensitive. Any will do: a route may refuse those that nobody knows.
    package static func method(_ text: String) throws(ValueProblem) -> String {
        guard (1...32).contains(text.utf8.count), text.utf8.allSatisfy({ ASCII.token.contains($0) }),
            text == text.uppercased()
        else {
            throw ValueProblem(reason: "is not a method", help: "in capitals, such as GET or POST")
        }
        return text
    }

    /// `/path?query`, or the same with `https://host` before it.
    package static func request(
        method: String, target text: String
    ) throws(ValueProblem) -> SampleRequest {
        let example = "/admin/users or https://files.example.com/a"
        if text.hasPrefix("/") || text == "*" {
            let isTarget = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
            guard isTarget, text.utf8.count <= targetBytesMax else {
                throw ValueProblem(reason: "is not a target of a request", help: "such as \(example)")
            }
            return SampleRequest(method: method, target: text)
        }
        guard text.contains("://") else {
            throw ValueProblem(
                reason: "is not a target of a request", help: "it begins with '/', such as \(example)")
        }
        let url = try AddressDecoding.url(text, example: "https://files.example.com/a")
        if !url.rest.isEmpty && !url.rest.hasPrefix("/") || url.rest.contains("#") {
            throw ValueProblem(reason: "is not a target of a request", help: "such as \(example)")
        }
        var request = SampleRequest(method: method, target: url.rest.isEmpty ? "/" : url.rest)
        request.authority = url.bracketedHost + (url.port.map { ":\($0)" } ?? "")
        return request
    }

    /// `NAME=VALUE`, the name as in `require claim`.
    package static func claim(_ text: String) throws(ValueProblem) -> SampleClaim {
        // `=a.b=x`: the name a.b.
        let nameStart = text.index(text.startIndex, offsetBy: text.hasPrefix("=") ? 1 : 0)
        guard let equals = text[nameStart...].firstIndex(of: "=") else {
            throw ValueProblem(
                reason: "is not a claim with its value", help: "the form is NAME=VALUE, such as role=admin")
        }
        let path = try ClaimDecoding.path(String(text[..<equals]))
        if path.parts.count == 1, let word = words[path.parts[0]] {
            throw ValueProblem(reason: "is a claim that every token has", help: word)
        }
        return SampleClaim(path: path, value: String(text[text.index(after: equals)...]))
    }

    /// `NAME=VALUE`: a header field.
    package static func field(_ text: String) throws(ValueProblem) -> FieldText {
        guard let equals = text.firstIndex(of: "=") else {
            throw ValueProblem(
                reason: "is not a field with its value",
                help: "the form is NAME=VALUE, such as Origin=https://app.example.com")
        }
        return try field(String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    package static func field(_ name: String, _ value: String) throws(ValueProblem) -> FieldText {
        let field = FieldText(name: try Validator.fieldName(name), value: value)
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), value.utf8.count <= targetBytesMax else {
            throw ValueProblem(
                reason: "has a character that no field can have", help: "one line of visible characters")
        }
        if let help = wordsOfFields[name.lowercased()] {
            throw ValueProblem(reason: "is said in another way", help: help)
        }
        return field
    }

    private static let words = [
        "sub": "say it as: subject alice", "iss": "say it as: issuer https://login.example.org/",
        "exp": "say 'expired', or nothing", "iat": "it is now", "nbf": "it is now",
        "aud": "it is what the gateway asks for",
    ]
    private static let wordsOfFields = [
        "host": "say it in the target, as https://files.example.com/a",
        "authorization": "say 'token' and what is in it", "connection": "it has no part in the policy",
        "transfer-encoding": "say Content-Length=…",
    ]
    private static let targetBytesMax = 4_096
}
