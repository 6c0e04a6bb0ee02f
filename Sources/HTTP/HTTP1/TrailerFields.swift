// Which trailer fields go on. RFC 9110 §6.5.1: many fields "cannot be processed outside the header section
// because their evaluation is necessary prior to receiving the content". A recipient that merges them into
// the head all the same would have a field there that nobody has checked: so what could steer, name or
// authenticate anything is dropped, in every spelling that folds to it, and the rest passes
// (`Server-Timing`, `Repr-Digest`, `grpc-status`).

import Primitives

/// The rule for trailer fields.
enum TrailerFields {
    /// Whether a field of that name, a token, may be forwarded in a trailer section.
    ///
    /// - Parameter refused: further names that may not, in any spelling.
    static func mayPass(_ name: Span<UInt8>, refused: [[UInt8]]) -> Bool {
        var hash = FieldFolding.seed
        for index in name.indices { hash = FieldFolding.mix(hash, FieldFolding.fold(name[index])) }
        // What the gateway itself reads, writes or removes in a head.
        if FieldNameTable.shared.name(foldedHash: hash, name, 0, name.count).name != .other { return false }
        if allowed.contains(where: { FieldFolding.folds(name, to: $0) }) { return true }
        return !prefixes.contains { begins(name, with: $0) }
            && !names.contains { FieldFolding.folds(name, to: $0) }
            && !refused.contains { isAlike(name, $0) }
    }

    private static func begins(_ name: Span<UInt8>, with prefix: [UInt8]) -> Bool {
        name.count >= prefix.count && FieldFolding.folds(name.extracting(0..<prefix.count), to: prefix)
    }

    private static func isAlike(_ name: Span<UInt8>, _ other: [UInt8]) -> Bool {
        if name.count != other.count { return false }
        for index in name.indices where FieldFolding.fold(name[index]) != FieldFolding.fold(other[index]) {
            return false
        }
        return true
    }

    /// Families of names: identity and sessions, what proxies say, conditions (RFC 9110 §13.1), content and
    /// its negotiation (§8, §12.5), what browsers say of a request and are told of a response, upgrades.
    private static let prefixes = [
        "x-auth-", "session-", "x-forwarded", "x-original-", "x-rewrite-", "proxy-", "if-", "content-",
        "accept-", "access-control-", "sec-", "cross-origin-", "http2-",
    ].map(FieldFolding.folded)

    /// RFC 9530 §2: `Content-Digest` describes the bytes as they are, and may come behind them.
    private static let allowed = ["content-digest"].map(FieldFolding.folded)

    /// Request modifiers (RFC 9110 §7.6.2, §14.2; RFC 9111 §5.4), authentication (RFC 9110 §11), response
    /// controls (§10.2; RFC 9111 §5), and what is no standard and yet steers or names: methods, addresses.
    private static let names = [
        "max-forwards", "range", "pragma", "prefer", "from",
        "www-authenticate", "authentication-info", "cookie2", "set-cookie2", "x-api-key", "x-csrf-token",
        "x-xsrf-token",
        "age", "expires", "retry-after", "allow", "last-modified", "warning", "refresh", "link",
        "alt-svc", "strict-transport-security", "clear-site-data", "server", "status", "mime-version",
        "x-http-method-override", "x-http-method", "x-method-override", "x-client-ip", "client-ip",
        "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-host",
        "x-accel-redirect", "x-sendfile", "x-frame-options", "x-content-type-options",
    ].map(FieldFolding.folded)
}

extension HeaderBlock {
    /// Whether the sender of this head takes trailer fields (RFC 9110 §10.1.4: `TE: trailers`). Lines that
    /// have been removed count: the field is for one hop, and removed before the head goes on.
    package var acceptsTrailers: Bool {
        if count(of: .te) == 0 { return false }
        return withBytes { bytes in
            for field in fields where field.known == .te {
                if TransferCodings.takeTrailers(bytes.extracting(field.value.offsets)) { return true }
            }
            return false
        }
    }
}

/// RFC 9110 §10.1.4: `TE = #t-codings`, `t-codings = "trailers" / ( transfer-coding [ weight ] )`.
private enum TransferCodings {
    static func takeTrailers(_ value: Span<UInt8>) -> Bool {
        var start = 0
        while start < value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            if isTrailers(value.extracting(start..<end)) { return true }
            start = end + 1
        }
        return false
    }

    /// `trailers`, with no weight or one that is not zero. §12.4.2: "a value of 0 means 'not acceptable'".
    private static func isTrailers(_ member: Span<UInt8>) -> Bool {
        var index = 0
        skipBlanks(member, &index)
        let start = index
        while index < member.count, ASCII.token.contains(member[index]) { index += 1 }
        if !member.extracting(start..<index).equalsIgnoringCase("trailers") { return false }
        skipBlanks(member, &index)
        if index == member.count { return true }
        // `weight = OWS ";" OWS "q=" qvalue`; anything else is no yes.
        guard member[index] == UInt8(ascii: ";") else { return false }
        index += 1
        skipBlanks(member, &index)
        guard member.count - index > 2, member.extracting(index..<index + 2).equalsIgnoringCase("q=") else {
            return false
        }
        var isZero = true
        for position in index + 2..<member.count {
            let byte = member[position]
            if ASCII.isDigit(byte) {
                if byte != UInt8(ascii: "0") { isZero = false }
            } else if byte != UInt8(ascii: ".") && byte != 0x20 && byte != 0x09 {
                return false
            }
        }
        return !isZero
    }

    private static func skipBlanks(_ member: Span<UInt8>, _ index: inout Int) {
        while index < member.count, member[index] == 0x20 || member[index] == 0x09 { index += 1 }
    }
}
