// An IP address as a number: read from text, compared and used as a key without a single allocation. Where a
// peer's socket address is an array of bytes, this is what its word about others is read into.
//
// IPv4 is kept as IPv6 writes it (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2), so an address and its disguise are
// one value. Strict where systems differ: four decimal numbers without leading zeros (`010.0.0.1` is octal to
// some), no zone.

/// An address of IPv4 or IPv6.
public struct IPAddress: Sendable, Hashable {
    /// The first 64 bits of the address in IPv6.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    private init(v4: UInt32) { self.init(high: 0, low: 0xFFFF << 32 | UInt64(v4)) }

    /// The address of 4 or 16 bytes in network order; nil for any other count.
    public init?(bytes: Span<UInt8>) {
        var (high, low) = (UInt64(0), UInt64(0))
        for index in bytes.indices {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(bytes[index])
        }
        switch bytes.count {
        case 4: self.init(v4: UInt32(low))
        case 16: self.init(high: high, low: low)
        default: return nil
        }
    }

    /// Whether it is an IPv4 address.
    public var isV4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// The address in network order: 4 bytes, or 16.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for index in (isV4 ? 12 : 0)..<16 {
            bytes.append(UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64((7 - index & 7) * 8)))
        }
        return bytes
    }

    /// Whether the first `bits` of the 128 are those of `other`.
    public func sharesPrefix(of other: IPAddress, bits: Int) -> Bool {
        let highMask = bits >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(max(bits, 0)))
        let lowMask = bits >= 128 ? UInt64.max : ~(UInt64.max >> UInt64(max(bits - 64, 0)))
        return (high ^ other.high) & highMask == 0 && (low ^ other.low) & lowMask == 0
    }
}

// MARK: - Reading

extension IPAddress {
    /// The address that a text spells, without brackets; nil for anything else.
    public init?(text: Span<UInt8>) {
        for index in text.indices where text[index] == UInt8(ascii: ":") {
            self.init(v6Text: text)
            return
        }
        self.init(v4Text: text)
    }

    /// RFC 3986 §3.2.2: `IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet`.
    public init?(v4Text text: Span<UInt8>) {
        guard let value = Self.v4(text, from: 0) else { return nil }
        self.init(v4: value)
    }

    /// RFC 3986 §3.2.2, `IPv6address`: groups of 1 to 4 hexadecimal digits, at most one `::`, and the last 32
    /// bits maybe as IPv4.
    public init?(v6Text text: Span<UInt8>) {
        var groups = IPv6Groups()
        var index = 0
        guard text.count >= 2 else { return nil }
        if text[0] == UInt8(ascii: ":") {
            guard text[1] == UInt8(ascii: ":") else { return nil }
            groups.markGap()
            index = 2
        }
        while index < text.count {
            var (value, digits) = (UInt64(0), 0)
            let start = index
            while index < text.count, let digit = ASCII.hexadecimalValue(text[index]) {
                digits += 1
                if digits > 4 { return nil }
                value = value << 4 | UInt64(digit)
                index += 1
            }
            if digits == 0 { return nil }
            if index < text.count, text[index] == UInt8(ascii: ".") {
                guard let tail = Self.v4(text, from: start), groups.append(UInt64(tail >> 16)),
                    groups.append(UInt64(tail & 0xFFFF))
                else { return nil }
                index = text.count
                break
            }
            guard groups.append(value) else { return nil }
            if index == text.count { break }
            if text[index] != UInt8(ascii: ":") { return nil }
            index += 1
            if index == text.count { return nil }
            if text[index] == UInt8(ascii: ":") {
                if !groups.markGap() { return nil }
                index += 1
            }
        }
        guard let (high, low) = groups.joined else { return nil }
        self.init(high: high, low: low)
    }

    /// The four numbers from `start` to the end of the text.
    private static func v4(_ text: Span<UInt8>, from start: Int) -> UInt32? {
        var (value, octet, digits, dots) = (UInt32(0), UInt32(0), 0, 0)
        for index in start..<text.count {
            let byte = text[index]
            if ASCII.isDigit(byte) {
                if digits > 0 && octet == 0 { return nil }
                octet = octet * 10 + UInt32(byte - 48)
                digits += 1
                if octet > 255 { return nil }
            } else {
                if byte != UInt8(ascii: ".") || digits == 0 || dots == 3 { return nil }
                value = value << 8 | octet
                (octet, digits, dots) = (0, 0, dots + 1)
            }
        }
        return dots == 3 && digits > 0 ? value << 8 | octet : nil
    }
}

/// The groups of an IPv6 text as they are read, in front of the `::` and behind it.
private struct IPv6Groups {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    private var count = 0
    /// How many groups stand in front of the `::`.
    private var gap: Int?

    /// false: one too many.
    mutating func append(_ value: UInt64) -> Bool {
        // A `::` stands for one group at least.
        if count == (gap == nil ? 8 : 7) { return false }
        high = high << 16 | low >> 48
        low = low << 16 | value
        count += 1
        return true
    }

    /// false: there is one already, or nothing is left that it could stand for.
    @discardableResult
    mutating func markGap() -> Bool {
        if gap != nil || count == 8 { return false }
        gap = count
        return true
    }

    /// The 128 bits; nil when groups are missing.
    var joined: (high: UInt64, low: UInt64)? {
        guard let gap else { return count == 8 ? (high, low) : nil }
        // All groups stand at the end; those in front of the gap belong to the front.
        let value = UInt128(high) << 64 | UInt128(low)
        let behind = UInt128(16 * (count - gap))
        let tail = value & ((1 << behind) - 1)
        let front = gap == 0 ? 0 : (value >> behind) << UInt128(16 * (8 - gap))
        return (UInt64(truncatingIfNeeded: (front | tail) >> 64), UInt64(truncatingIfNeeded: front | tail))
    }
}

// MARK: - Writing

extension IPAddress {
    /// The canonical text (RFC 5952 §4): `192.0.2.1`, `2001:db8::1`.
    public var text: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(39)
        if isV4 {
            for shift in [24, 16, 8, 0] as [UInt64] {
                if shift < 24 { output.append(UInt8(ascii: ".")) }
                Self.append(decimal: UInt8(truncatingIfNeeded: low >> shift), to: &output)
            }
            return output
        }
        let zeros = longestZeros
        var index = 0
        while index < 8 {
            if index == zeros.start {
                // §4.2: the longest run, the first of equals, and never a single group.
                output += [UInt8(ascii: ":"), UInt8(ascii: ":")]
                index += zeros.count
                continue
            }
            if index > 0 && output.last != UInt8(ascii: ":") { output.append(UInt8(ascii: ":")) }
            let group = group(index)
            var shift = UInt16(12)
            while shift > 0 && group >> shift == 0 { shift -= 4 }
            while true {
                output.append(ASCII.hexadecimalDigit(UInt8(group >> shift & 15)))
                if shift == 0 { break }
                shift -= 4
            }
            index += 1
        }
        return output
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64((3 - index & 3) * 16))
    }

    private var longestZeros: (start: Int, count: Int) {
        var (best, start) = ((start: 8, count: 1), 0)
        while start < 8 {
            var end = start
            while end < 8 && group(end) == 0 { end += 1 }
            if end - start > best.count { best = (start, end - start) }
            start = end + 1
        }
        return best
    }

    private static func append(decimal value: UInt8, to output: inout [UInt8]) {
        if value >= 100 { output.append(48 + value / 100) }
        if value >= 10 { output.append(48 + value / 10 % 10) }
        output.append(48 + value % 10)
    }
}
