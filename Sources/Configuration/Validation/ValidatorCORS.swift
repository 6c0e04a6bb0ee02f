// The meaning of `cors`: which origins may call, brought into the form in which browsers name themselves.

import Primitives

extension Validator {
    func cors(_ opening: Entry?) -> CORSConfiguration? {
        guard let opening else { return nil }
        let block = block(opening, .cors)
        var cors = CORSConfiguration()
        let isAny = readOrigins(of: block, opening: opening, into: &cors)
        cors.allowsCredentials = checkChoice(block.entry("credentials")) == "on"
        if isAny, cors.allowsCredentials, let entry = block.entry("credentials") {
            report.error(
                "with origins * the pages of any site could act as whoever visits them", at: entry.location,
                help: "name the origins that may: origins https://app.example.com;")
        }
        cors.methods = methods(block.entry("methods"))
        cors.requestFields = words(of: block.entry("headers"), decode: Self.requestField)
        cors.exposedFields = words(of: block.entry("expose")) { text throws(ValueProblem) in
            // Fetch: with credentials, `*` is a field of that name.
            if text == "*", cors.allowsCredentials {
                throw ValueProblem(
                    reason: "means nothing to browsers where credentials are on",
                    help: "name the fields, such as ETag")
            }
            return try Self.fieldName(text)
        }
        readDuration("max_age", of: block, into: &cors.maxAgeMilliseconds)
        return cors
    }

    /// Whether it is any origin.
    private func readOrigins(
        of block: CheckedBlock, opening: Entry, into cors: inout CORSConfiguration
    ) -> Bool {
        guard let entry = block.entry("origins") else {
            if !block.attempted("origins"), !report.isIncomplete {
                report.error(
                    "'cors' has no 'origins'", at: opening.location,
                    help: "add: origins https://app.example.com;")
            }
            return false
        }
        if entry.arguments.count == 1, entry.arguments[0].text == "*" { return true }
        cors.origins = words(of: entry, decode: Self.origin)
        return false
    }

    private static func requestField(_ text: String) throws(ValueProblem) -> String {
        if text == "*" {
            throw ValueProblem(
                reason: "is not needed",
                help: "leave 'headers' out, and whatever a preflight asks for is allowed")
        }
        return try fieldName(text)
    }

    /// RFC 6454 §6.2: scheme and host in small letters, no port that is the scheme's own, and nothing else.
    private static func origin(_ text: String) throws(ValueProblem) -> String {
        let example = "https://app.example.com"
        if text == "null" {
            throw ValueProblem(
                reason: "is nobody's origin: any sandboxed frame and any local file sends it",
                help: "give the page an origin of its own")
        }
        if text.contains("*") {
            throw ValueProblem(
                reason: "is a pattern", help: "name each origin, such as \(example), or * alone for any")
        }
        let scheme = text.prefix { $0 != ":" }.lowercased()
        let isWeb = scheme == "http" || scheme == "https"
        if !isWeb, let near = EditDistance.nearest(to: scheme, in: ["https", "http"]) {
            throw ValueProblem(reason: "is not an origin", help: "did you mean '\(near)://'?")
        }
        // RFC 3986 §3.1. Applications that are built of web pages have schemes of their own.
        let isScheme =
            (97...122).contains(scheme.utf8.first ?? 0)
            && scheme.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == 0x2B || $0 == 0x2D || $0 == 0x2E }
        let url = (isWeb ? scheme : "http") + text.dropFirst(scheme.count)
        guard isScheme, let parts = try? AddressDecoding.url(url, example: example) else {
            throw ValueProblem(
                reason: "is not an origin",
                help: "scheme, host and maybe a port, as browsers write them, such as \(example)")
        }
        if !parts.rest.isEmpty {
            throw ValueProblem(
                reason: parts.rest == "/" ? "ends with a slash, which no origin does" : "has a path",
                help: "scheme, host and maybe a port, such as \(example)")
        }
        var origin = URLParts(
            scheme: scheme, host: IPLiteral.bytes(of: parts.host).map(IPLiteral.text) ?? parts.host,
            port: parts.port, rest: "")
        if scheme == "http" && origin.port == 80 || scheme == "https" && origin.port == 443 {
            origin.port = nil
        }
        return "\(scheme)://\(origin.bracketedHost)" + (origin.port.map { ":\($0)" } ?? "")
    }
}
