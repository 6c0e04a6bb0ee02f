// The compact serialisation (RFC 7515 §3.1, §7.1) and its header: three ranges of the token's bytes, and the
// few header parameters that decide anything.
//
// Nothing here trusts the token: `jwk`, `jku`, `x5c` and `x5u` are never looked at, let alone followed (RFC
// 8725 §3.10), and a header that changes how the token must be read is refused.

internal import Primitives

/// Where the three parts of a compact token stand.
struct CompactToken {
    let header: ByteRange
    let payload: ByteRange
    let signature: ByteRange

    /// What the signature covers: header, dot, payload, as they stand in the token.
    var signingInput: ByteRange { ByteRange(0, payload.end) }

    /// Splits a token. RFC 7515 §3.1: exactly three parts; none of ours is ever empty. A JWE has five (RFC
    /// 7516 §3.1).
    init(_ token: Span<UInt8>) throws(TokenRejection) {
        var dots = (first: -1, second: -1)
        for index in 0..<token.count where token[index] == UInt8(ascii: ".") {
            if dots.first < 0 {
                dots.first = index
            } else if dots.second < 0 {
                dots.second = index
            } else {
                throw .malformed
            }
        }
        guard dots.first > 0, dots.second > dots.first + 1, dots.second + 1 < token.count else {
            throw .malformed
        }
        header = ByteRange(0, dots.first)
        payload = ByteRange(dots.first + 1, dots.second)
        signature = ByteRange(dots.second + 1, token.count)
    }

    /// The bytes that a part spells.
    static func decode(_ part: ByteRange, of token: Span<UInt8>) throws(TokenRejection) -> [UInt8] {
        // RFC 7515 §2: base64url "with all trailing '=' characters omitted and without the inclusion of any
        // line breaks, whitespace, or other additional characters".
        guard let bytes = Base64URL.decode(token.extracting(part.offsets)) else { throw .malformed }
        return bytes
    }
}

/// The header parameters that decide anything.
struct JOSEHeader {
    let algorithm: SignatureAlgorithm
    let kid: String?
    let type: String?

    /// Reads a header.
    init(parsing bytes: [UInt8]) throws(TokenRejection) {
        // RFC 7515 §4: names are unique, which the scanner sees to; its limits keep a hostile header cheap.
        guard let document = try? JSONDocument(parsing: bytes, depthMax: 4, nodesMax: 128),
            document.root.kind == .object
        else { throw .malformed }
        var algorithmName: String? = nil
        var kid: String? = nil
        var type: String? = nil
        for (name, value) in document.root.members {
            switch name {
            case "alg": algorithmName = try Self.text(value)
            case "kid": kid = try Self.text(value)
            case "typ": type = try Self.text(value)
            // RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood and
            // supported by the recipient, then the JWS is invalid." None is. `b64` (RFC 7797) and `zip` (RFC
            // 7516 §4.1.3) change what the payload is and are refused outside of `crit` too.
            case "crit", "b64", "zip": throw .extensionUnknown
            default: continue
            }
        }
        // RFC 7515 §4.1.1: "This Header Parameter MUST be present".
        guard let algorithmName else { throw .malformed }
        guard let algorithm = SignatureAlgorithm(name: algorithmName) else { throw .wrongAlgorithm }
        if let kid, kid.utf8.count > kidBytesMax { throw .unknownKey }
        self.algorithm = algorithm
        self.kid = kid
        self.type = type
    }

    /// Whether `typ` names the media type `required`, which is in lower case. RFC 7515 §4.1.9: `application/`
    /// may be left out where no other slash follows; media types ignore case (RFC 2045 §5.1).
    /// An empty text stands for a header without `typ`.
    func hasType(_ required: String) -> Bool {
        guard let type else { return required.isEmpty }
        if required.isEmpty { return false }
        return ASCII.equalsIgnoringCase(type.utf8.span, lowercase: required.utf8.span)
            || ASCII.equalsIgnoringCase(type.utf8.span, lowercase: ("application/" + required).utf8.span)
    }

    private static func text(_ value: JSONValue) throws(TokenRejection) -> String {
        guard let text = value.string else { throw .malformed }
        return text
    }
}
