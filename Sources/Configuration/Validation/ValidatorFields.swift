// The meaning of `identity_header`, `set_header` and `remove_header`: which fields of the forwarded request a
// configuration may decide, and which belong to HTTP or to the gateway.
//
// Names are compared as a careless upstream sees them: CGI makes `_` of every other character, and case is
// nothing. So `X_Auth.Subject` is as reserved as `X-Auth-Subject`.

import Primitives

extension Validator {
    func readFields(of block: CheckedBlock, into route: inout RouteConfiguration) {
        var seen: [String: Entry] = [:]
        for entry in block.entries("identity_header") {
            guard let field = identityField(entry) else { continue }
            if isFirst(field.fieldName, entry, &seen) { route.identityFields.append(field) }
        }
        for entry in block.entries("set_header") {
            guard let field = setField(entry) else { continue }
            if isFirst(field.name, entry, &seen) { route.setFields.append(field) }
        }
        for entry in block.entries("remove_header") {
            let name = value(of: entry) { text throws(ValueProblem) in
                try Self.editableField(text, among: Self.unremovableFields, verb: "removed")
            }
            guard let name else { continue }
            if isFirst(name, entry, &seen) { route.removedFields.append(name) }
        }
    }

    /// Whether the route says nothing else of this field; reported if it does.
    private func isFirst(_ name: String, _ entry: Entry, _ seen: inout [String: Entry]) -> Bool {
        guard let first = seen[Self.folded(name)] else {
            seen[Self.folded(name)] = entry
            return true
        }
        let isRepeated = first.name == entry.name
        report.error(
            isRepeated ? "this field is given twice in one route" : "'\(first.name)' has this field already",
            at: entry.arguments[0].location,
            help:
                "the first is at \(report.place(first.location)); case, '-' and '_' make no difference to an"
                + " upstream")
        return false
    }

    /// The name as a careless upstream sees it.
    private static func folded(_ name: String) -> String {
        String(
            decoding: name.utf8.map { ASCII.isAlphanumeric($0) ? ASCII.lowercased($0) : 0x2D }, as: UTF8.self)
    }

    /// The name of a header field.
    static func fieldName(_ text: String) throws(ValueProblem) -> String {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ ASCII.token.contains($0) }) else {
            throw ValueProblem(reason: "is not a header field name", help: "such as X-Auth-Role")
        }
        return text
    }
}

// MARK: - Fields that tell a claim

extension Validator {
    /// Set by the gateway or by HTTP itself: a claim must not decide them.
    private static let unclaimableFields: Set<String> = [
        "host", "connection", "authorization", "cookie", "content-length", "transfer-encoding",
        "x-auth-subject", "x-auth-session", "x-auth-scope", "x-auth-issuer", "x-auth-certificate-subject",
        "x-auth-certificate-fingerprint",
    ]

    private func identityField(_ entry: Entry) -> IdentityField? {
        let name = value(of: entry) { text throws(ValueProblem) in
            let name = try Self.fieldName(text)
            if Self.unclaimableFields.contains(Self.folded(name)) {
                throw ValueProblem(
                    reason: "is a field that no claim may set",
                    help: "choose another name, such as X-Auth-Role")
            }
            return name
        }
        let word: Void? = value(of: entry, 1) { text throws(ValueProblem) in
            _ = try ValueDecoding.choice(text, of: ["claim"])
        }
        let claim = value(of: entry, 2) { text throws(ValueProblem) in
            let path = try ClaimDecoding.path(text)
            if path.parts == ["rt"] {
                throw ValueProblem(
                    reason: "is the refresh token in a single token, and for no upstream",
                    help: "such as role, or any other claim of the session")
            }
            return path
        }
        guard let name, word != nil, let claim else { return nil }
        return IdentityField(fieldName: name, claim: claim)
    }
}

// MARK: - Fields that are set and removed

extension Validator {
    /// RFC 9110 §7.6.1: fields of one connection, and those that say where a message ends; they are not
    /// passed on, so there is nothing to edit.
    private static let connectionFields: Set<String> = [
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection",
        "proxy-authenticate", "proxy-authorization", "proxy", "content-length", "expect",
    ]
    /// What only the gateway may say; it is taken from every client and needs no removing.
    private static let gatewayFields: Set<String> = ["forwarded", "via"]
    private static let gatewayPrefixes = ["x-auth-", "x-forwarded-", "session-"]
    /// A cookie is between an upstream and its clients: a fixed one would make all of them the same one.
    private static let unsettableFields: Set<String> = ["cookie"]
    /// RFC 9112 §3.2: every request has a Host.
    private static let unremovableFields: Set<String> = ["host"]

    private func setField(_ entry: Entry) -> FieldText? {
        let name = value(of: entry) { text throws(ValueProblem) in
            try Self.editableField(text, among: Self.unsettableFields, verb: "set")
        }
        let value = value(of: entry, 1) { text throws(ValueProblem) in
            try Self.fieldValue(text)
            guard name.map(Self.folded) == "host" else { return text }
            guard text.utf8.allSatisfy({ ASCII.authority.contains($0) }) else {
                throw ValueProblem(
                    reason: "is no host", help: "a name and maybe a port, such as api.internal:9000")
            }
            return text
        }
        guard let name, let value else { return nil }
        return FieldText(name: name, value: value)
    }

    private static func editableField(
        _ text: String, among refused: Set<String>, verb: String
    ) throws(ValueProblem) -> String {
        let name = try fieldName(text)
        let folded = folded(name)
        if connectionFields.contains(folded) {
            throw ValueProblem(
                reason: "belongs to the connection or to the framing of messages, which are the gateway's",
                help: "it is never passed on as the client sent it")
        }
        if folded == "x-real-ip" {
            throw ValueProblem(
                reason: "is a field that upstreams never get, whoever sends it",
                help: "they find the client's address in X-Forwarded-For")
        }
        if gatewayFields.contains(folded) || gatewayPrefixes.contains(where: folded.hasPrefix) {
            throw ValueProblem(
                reason: "is a field that the gateway alone writes",
                help:
                    "what clients send under this name is removed already; identity_header tells a claim"
            )
        }
        if refused.contains(folded) {
            throw ValueProblem(
                reason: "cannot be \(verb)",
                help: folded == "host"
                    ? "every request has one; set_header Host sets another"
                    : "cookies are between an upstream and its clients; remove_header Cookie keeps them out")
        }
        return name
    }

    /// RFC 9110 §5.5: no control bytes, and no white space at the ends.
    private static func fieldValue(_ text: String) throws(ValueProblem) {
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ValueProblem(
                reason: "holds a control character", help: "a field's value is one line of text")
        }
        guard let first = text.utf8.first, first != 0x20, text.utf8.last != 0x20 else {
            throw ValueProblem(
                reason: "is empty, or has a space at an end",
                help: "remove_header removes a field; spaces at the ends do not arrive")
        }
        guard text.utf8.count <= DirectiveTable.fieldValueBytesMax else {
            throw ValueProblem(
                reason: "is too long", help: "at most \(DirectiveTable.fieldValueBytesMax) bytes")
        }
    }
}
