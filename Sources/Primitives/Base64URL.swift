// base64url (RFC 4648 §5) as JOSE wants it (RFC 7515 §2): no padding, no white space, and canonical: the
// unused bits of the last character are zero, so that one value has exactly one spelling.

/// Strict base64url.
public enum Base64URL {
    /// The bytes that `text` spells, or nil when it is not canonical base64url.
    public static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        let remainder = text.count & 3
        if remainder == 1 { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(text.count * 3 / 4)
        var accumulated: UInt32 = 0
        var bits = 0
        for index in 0..<text.count {
            guard let value = value(of: text[index]) else { return nil }
            accumulated = (accumulated << 6) | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: accumulated >> UInt32(bits)))
            }
        }
        // RFC 4648 §3.5: "decoders MAY choose to reject an encoding if the pad bits have not been set to
        // zero".
        let unused = accumulated & ((1 << UInt32(bits)) - 1)
        return unused == 0 ? output : nil
    }

    /// The spelling of `bytes`, as ASCII.
    public static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count * 4 + 2) / 3)
        var accumulated: UInt32 = 0
        var bits = 0
        for index in 0..<bytes.count {
            accumulated = (accumulated << 8) | UInt32(bytes[index])
            bits += 8
            while bits >= 6 {
                bits -= 6
                output.append(character(for: UInt8(truncatingIfNeeded: accumulated >> UInt32(bits)) & 63))
            }
        }
        if bits > 0 {
            output.append(character(for: UInt8(truncatingIfNeeded: accumulated << UInt32(6 - bits)) & 63))
        }
        return output
    }

    /// The spelling of `bytes`, as text.
    public static func text(_ bytes: Span<UInt8>) -> String {
        String(decoding: encode(bytes), as: UTF8.self)
    }

    /// Whether a byte is one of the 64 characters.
    public static func spells(_ byte: UInt8) -> Bool { value(of: byte) != nil }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case 65...90: character - 65
        case 97...122: character - 71
        case 48...57: character + 4
        case 45: 62
        case 95: 63
        default: nil
        }
    }

    private static func character(for value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: value + 65
        case 26..<52: value + 71
        case 52..<62: value - 4
        case 62: 45
        default: 95
        }
    }
}
