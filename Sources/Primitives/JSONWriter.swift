// Writes JSON by appending: responses, claims, log lines. The caller says what opens and closes; commas and
// escapes are done here, so no value that came from outside can break out of its string.

/// An append-only writer of one JSON text.
public struct JSONWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// An empty text.
    public init(reserving capacity: Int = 256) {
        bytes.reserveCapacity(capacity)
    }

    /// Opens an object; as a member when `name` is given.
    public mutating func beginObject(_ name: String? = nil) { begin(UInt8(ascii: "{"), name) }

    /// Closes the innermost object.
    public mutating func endObject() { end(UInt8(ascii: "}")) }

    /// Opens an array; as a member when `name` is given.
    public mutating func beginArray(_ name: String? = nil) { begin(UInt8(ascii: "["), name) }

    /// Closes the innermost array.
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// A member with a string, or an element when `name` is nil.
    public mutating func string(_ name: String?, _ value: String) {
        prefix(name)
        quote(value.utf8.span)
    }

    /// A member with a string given as UTF-8 bytes; bytes that are not ASCII pass as they are.
    public mutating func string(_ name: String?, bytes value: Span<UInt8>) {
        prefix(name)
        quote(value)
    }

    /// A member with an integer, or an element when `name` is nil.
    public mutating func number(_ name: String?, _ value: Int64) {
        prefix(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    /// A member with `true` or `false`.
    public mutating func boolean(_ name: String?, _ value: Bool) {
        prefix(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// A member with `null`.
    public mutating func null(_ name: String?) {
        prefix(name)
        bytes.append(contentsOf: "null".utf8)
    }

    /// A member whose value is JSON already (checked by `JSONDocument`).
    public mutating func json(_ name: String?, _ value: some Sequence<UInt8>) {
        prefix(name)
        bytes.append(contentsOf: value)
    }

    private mutating func begin(_ bracket: UInt8, _ name: String?) {
        prefix(name)
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func prefix(_ name: String?) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
        guard let name else { return }
        quote(name.utf8.span)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func quote(_ value: Span<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        for index in 0..<value.count {
            let byte = value[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            } else if byte < 0x20 || byte == 0x7F {
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(ASCII.hexadecimalDigit(byte >> 4))
                bytes.append(ASCII.hexadecimalDigit(byte & 15))
            } else {
                bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
