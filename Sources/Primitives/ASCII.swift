// Character classes of the HTTP grammar (RFC 9110 §5.6.2, RFC 3986 §2) and comparisons that ignore ASCII
// case.
//
// Each class is two 64-bit masks over the first 128 code points: a test is a shift and needs no memory.

/// ASCII classes and case.
@frozen
public enum ASCII {
    /// A set of ASCII characters; every byte from 0x80 up is outside of it.
    @frozen
    public struct Class: Sendable {
        @usableFromInline let low: UInt64
        @usableFromInline let high: UInt64

        /// The class of the characters in `members`, which are ASCII.
        public init(_ members: String) {
            var low: UInt64 = 0
            var high: UInt64 = 0
            for byte in members.utf8 {
                precondition(byte < 128, "an ASCII class has ASCII members")
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
            }
            self.low = low
            self.high = high
        }

        /// Whether `byte` belongs to the class.
        @inlinable
        public func contains(_ byte: UInt8) -> Bool {
            if byte < 64 { return (low >> UInt64(byte)) & 1 == 1 }
            return byte < 128 && (high >> UInt64(byte &- 64)) & 1 == 1
        }
    }

    private static let digits = "0123456789"
    private static let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    /// RFC 9110 §5.6.2: `tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`"
    /// / "|" / "~" / DIGIT / ALPHA`.
    public static let token = Class("!#$%&'*+-.^_`|~" + digits + letters)

    /// RFC 3986 §2.3: `unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"`.
    public static let unreserved = Class("-._~" + digits + letters)

    /// RFC 3986 §3.3: what stands in a path as it is: `pchar` without percent-encoding, and the slash.
    public static let path = Class("/-._~!$&'()*+,;=:@" + digits + letters)

    /// RFC 3986 §3.4: what stands in a query as it is. Browsers send `[ ] | ^ { } \` "` there too, and
    /// upstreams live on them: they are no delimiter of HTTP and pass.
    public static let query = Class("/?-._~!$&'()*+,;=:@%[]|^{}\\`\"<>" + digits + letters)

    /// RFC 3986 §3.2.2: what a host (a name, an IPv4 address or a bracketed IPv6 address) and its port are
    /// made of.
    public static let authority = Class("-._~!$&'()*+,;=:%[]" + digits + letters)

    /// `byte` with an upper-case letter made lower-case.
    @inlinable
    public static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 65 < 26 ? byte | 0x20 : byte
    }

    /// Whether `byte` is `0` to `9`.
    @inlinable
    public static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    /// Whether `byte` is a letter or a digit.
    @inlinable
    public static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 97 < 26 }

    /// The value of a hexadecimal digit of either case; nil for any other byte.
    @inlinable
    public static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        if byte &- 48 < 10 { return byte &- 48 }
        let letter = byte | 0x20
        return letter &- 97 < 6 ? letter &- 87 : nil
    }

    /// The lower-case digit of a value below 16.
    @inlinable
    public static func hexadecimalDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 &+ value : 87 &+ value }

    /// Whether `bytes` equal `other`, which is in lower case, when the case of ASCII letters is ignored.
    @inlinable
    public static func equalsIgnoringCase(_ bytes: Span<UInt8>, lowercase other: Span<UInt8>) -> Bool {
        if bytes.count != other.count { return false }
        for index in 0..<bytes.count where lowercased(bytes[index]) != other[index] { return false }
        return true
    }
}

/// Text helpers over spans, for the edges where a person reads the bytes.
extension String {
    /// The bytes as text; what is not UTF-8 is replaced, so never use it where identity matters.
    public init(lossy bytes: Span<UInt8>) {
        self = String(decoding: Array(copying: bytes), as: UTF8.self)
    }

    /// The bytes as text, or nil when they are not UTF-8.
    public init?(utf8 bytes: Span<UInt8>) {
        self.init(validating: Array(copying: bytes), as: UTF8.self)
    }
}

extension Array where Element == UInt8 {
    /// A copy of the bytes of a span.
    public init(copying bytes: Span<UInt8>) {
        self.init()
        reserveCapacity(bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}
