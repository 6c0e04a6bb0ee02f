// How a route forwards, what it answers itself, and where it sends whom it refuses.

import Primitives

extension Validator {
    /// What concerns the forwarded request; it does nothing where nothing is forwarded.
    func readForwarding(of block: CheckedBlock, into route: inout RouteConfiguration) {
        route.requestBodyBytes = size("request_body", of: block)
        route.responseTimeoutMilliseconds = duration("response_timeout", of: block)
        route.idleTimeoutMilliseconds = duration("idle_timeout", of: block)
        route.tunnelTimeoutMilliseconds = duration("tunnel_timeout", of: block)
        if let strip = block.entry("strip_prefix") { readPrefix(strip, into: &route) }
        guard block.entry("respond") != nil, !block.attempted("upstream") else { return }
        let names = [
            "identity_header", "set_header", "remove_header", "strip_prefix", "response_timeout",
            "idle_timeout", "tunnel_timeout",
        ]
        for entry in names.flatMap(block.entries) {
            report.warning(
                "'\(entry.name)' does nothing here: no request is forwarded", at: entry.location,
                help: "remove it")
        }
    }

    private func readPrefix(_ strip: Entry, into route: inout RouteConfiguration) {
        let path = route.path
        var prefix = path
        if strip.arguments.isEmpty, route.isExact {
            report.error(
                "an exact route has no prefix to strip", at: strip.location,
                help: "name a beginning of its path, or remove the '=' of the route")
        } else if !strip.arguments.isEmpty {
            let named = value(of: strip) { text throws(ValueProblem) in
                let prefix = try RoutePath.prefix(text)
                if RoutePath.lies(path, under: prefix) { return prefix }
                throw ValueProblem(
                    reason: "is no beginning of the route's path",
                    help: "name whole segments that \(path) begins with")
            }
            prefix = named ?? path
        }
        if prefix.hasSuffix("/") { prefix.removeLast() }
        if prefix.isEmpty {
            report.warning(
                "'strip_prefix' does nothing here: the prefix is '/'", at: strip.location, help: "remove it")
        }
        route.strippedPrefix = prefix
    }

    /// What happens to those who are refused.
    func readManners(of block: CheckedBlock, refreshPath: String, into route: inout RouteConfiguration) {
        if let entry = block.entry("login_page") {
            route.loginPage = value(of: entry) { text throws(ValueProblem) in
                let page = try RoutePath.localTarget(text)
                if RoutePath.lies(String(page.prefix { $0 != "?" }), under: refreshPath) {
                    throw ValueProblem(
                        reason: "lies under the refresh path, which belongs to the gateway",
                        help: "name a page of yours, such as /login.html")
                }
                return page
            }
            warnIfAnonymous(route, entry, "nobody is sent to a login from here: the route is anonymous")
        }
        if let entry = block.entry("observe") {
            route.isObserved = true
            if route.rate == nil && route.methods.isEmpty {
                warnIfAnonymous(route, entry, "there is nothing to observe: the route is anonymous")
            }
        }
    }

    private func warnIfAnonymous(_ route: RouteConfiguration, _ entry: Entry, _ message: String) {
        guard route.access == .anonymous else { return }
        report.warning(message, at: entry.location, help: "remove it, or 'access anonymous'")
    }

    func duration(_ name: String, of block: CheckedBlock) -> Int64? {
        guard let entry = block.entry(name), case .duration(let range) = entry.directive.shape else {
            return nil
        }
        return value(of: entry) { text throws(ValueProblem) in try ValueDecoding.duration(text, in: range) }
    }
}

// MARK: - Fixed answers

extension Validator {
    /// They answer a condition or a range of the request, which nobody looks at here.
    private static let conditionalStatuses: Set = [206, 304]
    /// RFC 9110 §15.3.5, §15.3.6: they have no content.
    private static let emptyStatuses: Set = [204, 205]
    private static let redirectStatuses: Set = [301, 302, 303, 307, 308]

    /// `STATUS ["TEXT"] [TYPE]`.
    func fixedResponse(_ entry: Entry) -> FixedResponse? {
        let status = value(of: entry) { text throws(ValueProblem) in
            let range = DirectiveTable.respondStatus
            let status = try ValueDecoding.number(text, in: range)
            if Self.conditionalStatuses.contains(status) {
                throw ValueProblem(
                    reason: "answers a condition that a fixed answer does not look at",
                    help: "\(ValueDecoding.rangeText(range)), without 206 and 304")
            }
            return status
        }
        let text = value(of: entry, 1) { text throws(ValueProblem) in
            if !text.isEmpty, let status, Self.emptyStatuses.contains(status) {
                throw ValueProblem(reason: "is too much: a \(status) has no text", help: "respond \(status);")
            }
            if text.utf8.count > DirectiveTable.respondTextBytesMax {
                let size = ValueDecoding.sizeText(UInt64(DirectiveTable.respondTextBytesMax))
                throw ValueProblem(reason: "is too long", help: "at most \(size)")
            }
            return text
        }
        let type = value(of: entry, 2, decode: Self.mediaType)
        guard let status else { return nil }
        if Self.redirectStatuses.contains(status) {
            report.warning(
                "a redirect without Location leads nowhere", at: entry.location,
                help: "let an upstream redirect, or answer 404 or 410")
        }
        var response = FixedResponse(status: status, body: text ?? "")
        if let type { response.contentType = type }
        return response
    }

    /// RFC 9110 §8.3.1: `type "/" subtype parameters`.
    private static func mediaType(_ text: String) throws(ValueProblem) -> String {
        let essence = text.prefix { $0 != ";" }
        let parts = essence.split(separator: "/", omittingEmptySubsequences: false)
        let isType =
            parts.count == 2
            && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { ASCII.token.contains($0) } }
        guard isType, text.utf8.count <= 256, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw ValueProblem(
                reason: "is not a media type",
                help: "such as application/json, or \"text/html; charset=utf-8\" in quotation marks")
        }
        return text
    }
}

// MARK: - Methods

extension Validator {
    /// The methods that IANA's registry knows, and PURGE, which caches do: what is none of them is a slip.
    private static let knownMethods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "ACL", "BASELINE-CONTROL",
        "BIND",
        "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
        "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "PURGE", "REBIND",
        "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF",
        "VERSION-CONTROL",
    ]

    func methods(_ entry: Entry?) -> [String] { words(of: entry, decode: Self.method) }

    private static func method(_ text: String) throws(ValueProblem) -> String {
        if knownMethods.contains(text) { return text }
        if text == "CONNECT" || text == "TRACE" {
            throw ValueProblem(
                reason: "is a method that the gateway never forwards",
                help: "CONNECT makes a tunnel of a proxy, TRACE shows what it adds")
        }
        // RFC 9110 §9.1: "The method token is case-sensitive".
        let near = EditDistance.nearest(to: text, in: knownMethods).map { "did you mean '\($0)'? Methods" }
        throw ValueProblem(
            reason: "is not a method",
            help: (near ?? "methods") + " are in capitals, such as GET, HEAD or POST")
    }

    /// Every argument, decoded; what is given twice is reported.
    func words(
        of entry: Entry?, ignoringCase: Bool = true, decode: (String) throws(ValueProblem) -> String
    ) -> [String] {
        guard let entry else { return [] }
        var words: [String] = []
        for (index, argument) in entry.arguments.enumerated() {
            guard let word = value(of: entry, index, decode: decode) else { continue }
            let isRepeated = words.contains {
                $0 == word || ignoringCase && $0.lowercased() == word.lowercased()
            }
            if isRepeated {
                reportProblem(
                    ValueProblem(reason: "is given twice", help: "keep one of them"), with: argument)
            } else {
                words.append(word)
            }
        }
        return words
    }
}
