// The grammar of the fields in which proxies tell of each other: lists that are read from the right, and the
// elements of `Forwarded` (RFC 7239).

import HTTP
import Primitives

/// RFC 7239 §4: `forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )`,
/// `forwarded-pair = token "=" value`, `value = token / quoted-string`.
struct ForwardedElement {
    private(set) var node = ByteRange.empty
    private(set) var scheme = ByteRange.empty
    private(set) var host = ByteRange.empty

    /// nil: it breaks the grammar, or says something twice ("Each parameter MUST NOT occur more than once per
    /// field-value").
    init?(_ bytes: Span<UInt8>, _ range: ByteRange) {
        var index = range.start
        while index < range.end {
            while index < range.end, Self.isBlank(bytes[index]) { index += 1 }
            if index < range.end, bytes[index] == UInt8(ascii: ";") {
                index += 1
                continue
            }
            let nameStart = index
            while index < range.end, ASCII.token.contains(bytes[index]) { index += 1 }
            let name = ByteRange(nameStart, index)
            guard !name.isEmpty, index < range.end, bytes[index] == UInt8(ascii: "=") else { return nil }
            index += 1
            guard let value = Self.value(bytes, &index, range.end), set(bytes, name, value) else {
                return nil
            }
            while index < range.end, Self.isBlank(bytes[index]) { index += 1 }
            if index < range.end, bytes[index] != UInt8(ascii: ";") { return nil }
        }
    }

    /// Without its quotes. Some write an address without them although it is no token; none of these bytes
    /// can end it.
    private static func value(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> ByteRange? {
        if index < end, bytes[index] == UInt8(ascii: "\"") {
            let start = index + 1
            index = start
            while index < end, bytes[index] != UInt8(ascii: "\"") {
                // No address, scheme or host needs an escape.
                if bytes[index] == UInt8(ascii: "\\") { return nil }
                index += 1
            }
            if index == end { return nil }
            index += 1
            return ByteRange(start, index - 1)
        }
        let start = index
        while index < end, ASCII.token.contains(bytes[index]) || isNodeMark(bytes[index]) { index += 1 }
        return index > start ? ByteRange(start, index) : nil
    }

    /// §4: "parameter names are case-insensitive". Others than these three are passed over.
    private mutating func set(_ bytes: Span<UInt8>, _ name: ByteRange, _ value: ByteRange) -> Bool {
        let name = bytes.extracting(name.offsets)
        if name.equalsIgnoringCase("for") { return Self.set(&node, value) }
        if name.equalsIgnoringCase("proto") { return Self.set(&scheme, value) }
        if name.equalsIgnoringCase("host") { return Self.set(&host, value) }
        return true
    }

    /// An empty value says nothing that could be believed.
    private static func set(_ range: inout ByteRange, _ value: ByteRange) -> Bool {
        if !range.isEmpty || value.isEmpty { return false }
        range = value
        return true
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func isNodeMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]")
    }
}

// MARK: - Lists

/// The members of a list field (RFC 9110 §5.6.1) in all its lines, the last first. Empty members are none.
struct MembersFromRight {
    private let name: FieldName
    private let hasQuotes: Bool
    /// Lines from this one on have been walked through.
    private var line = Int.max
    /// What is left of the current line.
    private var rest = ByteRange.empty

    init(_ name: FieldName, hasQuotes: Bool) {
        self.name = name
        self.hasQuotes = hasQuotes
    }

    mutating func next(_ block: borrowing HeaderBlock, _ bytes: Span<UInt8>) -> ByteRange? {
        while true {
            while !rest.isEmpty {
                let member = takeMember(bytes)
                if !member.isEmpty { return member }
            }
            line = min(line, block.fields.count)
            repeat {
                line -= 1
                if line < 0 { return nil }
            } while block.fields[line].known != name
            rest = block.fields[line].value
        }
    }

    /// What stands behind the last comma outside of quotes, without the blanks around it.
    private mutating func takeMember(_ bytes: Span<UInt8>) -> ByteRange {
        var (start, isQuoted) = (rest.end, false)
        while start > rest.start {
            let byte = bytes[start - 1]
            if byte == UInt8(ascii: ","), !isQuoted { break }
            // Inside of quotes, one behind a backslash is text (RFC 9110 §5.6.4); which backslash counts, the
            // bytes in front of it say.
            if byte == UInt8(ascii: "\""), hasQuotes, !(isQuoted && isEscaped(bytes, start - 1)) {
                isQuoted.toggle()
            }
            start -= 1
        }
        var (lower, upper) = (start, rest.end)
        while lower < upper, bytes[lower] == 0x20 || bytes[lower] == 0x09 { lower += 1 }
        while upper > lower, bytes[upper - 1] == 0x20 || bytes[upper - 1] == 0x09 { upper -= 1 }
        rest = ByteRange(rest.start, max(start - 1, rest.start))
        return ByteRange(lower, upper)
    }

    private func isEscaped(_ bytes: Span<UInt8>, _ index: Int) -> Bool {
        var first = index
        while first > rest.start, bytes[first - 1] == UInt8(ascii: "\\") { first -= 1 }
        return (index - first) & 1 == 1
    }
}
