// The forward pass behind `JSONDocument`: the grammar of RFC 8259, section by section, over a span of bytes.

/// Checks one JSON text and lists its values in the order of the text.
struct JSONScanner {
    private let depthMax: Int
    private let nodesMax: Int
    private var position = 0
    private(set) var nodes: [JSONNode] = []

    init(depthMax: Int, nodesMax: Int) {
        self.depthMax = depthMax
        self.nodesMax = nodesMax
        nodes.reserveCapacity(32)
    }

    mutating func scanDocument(_ bytes: Span<UInt8>) throws(JSONError) {
        skipWhitespace(bytes)
        try scanValue(bytes, depth: 0)
        skipWhitespace(bytes)
        if position != bytes.count { throw .malformed(at: position) }
    }

    private mutating func scanValue(_ bytes: Span<UInt8>, depth: Int) throws(JSONError) {
        if nodes.count >= nodesMax || depth > depthMax { throw .tooLarge(at: position) }
        guard position < bytes.count else { throw .malformed(at: position) }
        switch bytes[position] {
        case UInt8(ascii: "{"): try scanObject(bytes, depth: depth)
        case UInt8(ascii: "["): try scanArray(bytes, depth: depth)
        case UInt8(ascii: "\""): try scanString(bytes)
        case UInt8(ascii: "t"): try scanWord(bytes, "true", .true)
        case UInt8(ascii: "f"): try scanWord(bytes, "false", .false)
        case UInt8(ascii: "n"): try scanWord(bytes, "null", .null)
        default: try scanNumber(bytes)
        }
    }

    private mutating func scanObject(_ bytes: Span<UInt8>, depth: Int) throws(JSONError) {
        let node = open(.object)
        var seen: Set<Int> = []
        skipWhitespace(bytes)
        if !accept(UInt8(ascii: "}"), bytes) {
            repeat {
                skipWhitespace(bytes)
                let name = nodes.count
                guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                    throw .malformed(at: position)
                }
                try scanString(bytes)
                // Linear in the members: only a name whose hash was there before is compared with the others.
                if !seen.insert(nameHash(name, bytes)).inserted {
                    try refuseDuplicate(of: name, in: node, bytes)
                }
                skipWhitespace(bytes)
                if !accept(UInt8(ascii: ":"), bytes) { throw .malformed(at: position) }
                skipWhitespace(bytes)
                try scanValue(bytes, depth: depth + 1)
                skipWhitespace(bytes)
            } while accept(UInt8(ascii: ","), bytes)
            if !accept(UInt8(ascii: "}"), bytes) { throw .malformed(at: position) }
        }
        close(node)
    }

    private mutating func scanArray(_ bytes: Span<UInt8>, depth: Int) throws(JSONError) {
        let node = open(.array)
        skipWhitespace(bytes)
        if !accept(UInt8(ascii: "]"), bytes) {
            repeat {
                skipWhitespace(bytes)
                try scanValue(bytes, depth: depth + 1)
                skipWhitespace(bytes)
            } while accept(UInt8(ascii: ","), bytes)
            if !accept(UInt8(ascii: "]"), bytes) { throw .malformed(at: position) }
        }
        close(node)
    }

    /// RFC 8259 §7: control characters are escaped; RFC 8259 §8.1: the text is UTF-8.
    private mutating func scanString(_ bytes: Span<UInt8>) throws(JSONError) {
        if nodes.count >= nodesMax { throw .tooLarge(at: position) }
        position += 1
        let start = position
        var hasEscapes = false
        while true {
            guard position < bytes.count else { throw .malformed(at: position) }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") { break }
            if byte < 0x20 { throw .malformed(at: position) }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try scanEscape(bytes)
            } else if byte < 0x80 {
                position += 1
            } else {
                try scanMultibyte(bytes)
            }
        }
        nodes.append(
            JSONNode(
                kind: .string, hasEscapes: hasEscapes, range: ByteRange(start, position),
                next: nodes.count + 1))
        position += 1
    }

    private mutating func scanEscape(_ bytes: Span<UInt8>) throws(JSONError) {
        guard position + 1 < bytes.count else { throw .malformed(at: position) }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            let unit = try codeUnit(bytes, at: position)
            position += 6
            if (0xDC00...0xDFFF).contains(unit) { throw .malformed(at: position) }
            if (0xD800...0xDBFF).contains(unit) {
                // RFC 8259 §8.2: a surrogate without its partner has no meaning that two readers share.
                guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                    bytes[position + 1] == UInt8(ascii: "u"),
                    (0xDC00...0xDFFF).contains(try codeUnit(bytes, at: position))
                else { throw .malformed(at: position) }
                position += 6
            }
        default:
            throw .malformed(at: position)
        }
    }

    private func codeUnit(_ bytes: Span<UInt8>, at start: Int) throws(JSONError) -> UInt16 {
        guard start + 6 <= bytes.count else { throw .malformed(at: start) }
        var unit: UInt16 = 0
        for index in (start + 2)..<(start + 6) {
            guard let digit = ASCII.hexadecimalValue(bytes[index]) else { throw .malformed(at: index) }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    /// RFC 3629 §4: well-formed UTF-8, no overlong form, no surrogate, nothing above U+10FFFF.
    private mutating func scanMultibyte(_ bytes: Span<UInt8>) throws(JSONError) {
        let lead = bytes[position]
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: count = 2
        case 0xE0...0xEF:
            count = 3
            if lead == 0xE0 { second = 0xA0...0xBF }
            if lead == 0xED { second = 0x80...0x9F }
        case 0xF0...0xF4:
            count = 4
            if lead == 0xF0 { second = 0x90...0xBF }
            if lead == 0xF4 { second = 0x80...0x8F }
        default: throw .malformed(at: position)
        }
        guard position + count <= bytes.count, second.contains(bytes[position + 1]) else {
            throw .malformed(at: position)
        }
        for index in (position + 1)..<(position + count) where bytes[index] & 0xC0 != 0x80 {
            throw .malformed(at: index)
        }
        position += count
    }

    /// RFC 8259 §6: `number = [ minus ] int [ frac ] [ exp ]`, no leading zero, no plus sign.
    private mutating func scanNumber(_ bytes: Span<UInt8>) throws(JSONError) {
        let start = position
        _ = accept(UInt8(ascii: "-"), bytes)
        if accept(UInt8(ascii: "0"), bytes) {
            if position < bytes.count && ASCII.isDigit(bytes[position]) { throw .malformed(at: position) }
        } else {
            try scanDigits(bytes)
        }
        if accept(UInt8(ascii: "."), bytes) { try scanDigits(bytes) }
        if accept(UInt8(ascii: "e"), bytes) || accept(UInt8(ascii: "E"), bytes) {
            if !accept(UInt8(ascii: "+"), bytes) { _ = accept(UInt8(ascii: "-"), bytes) }
            try scanDigits(bytes)
        }
        nodes.append(
            JSONNode(
                kind: .number, hasEscapes: false, range: ByteRange(start, position), next: nodes.count + 1))
    }

    private mutating func scanDigits(_ bytes: Span<UInt8>) throws(JSONError) {
        let start = position
        while position < bytes.count && ASCII.isDigit(bytes[position]) { position += 1 }
        if position == start { throw .malformed(at: position) }
    }

    private mutating func scanWord(
        _ bytes: Span<UInt8>, _ word: StaticString, _ kind: JSONValue.Kind
    ) throws(JSONError) {
        let start = position
        for expected in word.description.utf8 where !accept(expected, bytes) {
            throw .malformed(at: position)
        }
        nodes.append(
            JSONNode(kind: kind, hasEscapes: false, range: ByteRange(start, position), next: nodes.count + 1))
    }

    /// Member names are compared as the text they mean, so that an escape cannot hide a second `exp`.
    private func refuseDuplicate(of name: Int, in object: Int, _ bytes: Span<UInt8>) throws(JSONError) {
        var other = object + 1
        while other < name {
            if sameName(other, name, bytes) { throw .duplicateMember(at: nodes[name].range.start) }
            other = nodes[other + 1].next
        }
    }

    private func sameName(_ left: Int, _ right: Int, _ bytes: Span<UInt8>) -> Bool {
        let (first, second) = (nodes[left], nodes[right])
        if !first.hasEscapes && !second.hasEscapes {
            return bytes.extracting(first.range.offsets).equals(bytes.extracting(second.range.offsets))
        }
        return meaning(first, bytes) == meaning(second, bytes)
    }

    /// Seeded by the process, so nobody can make names that collide.
    private func nameHash(_ name: Int, _ bytes: Span<UInt8>) -> Int {
        var hasher = Hasher()
        if nodes[name].hasEscapes {
            for byte in meaning(nodes[name], bytes) { hasher.combine(byte) }
        } else {
            for index in nodes[name].range.offsets { hasher.combine(bytes[index]) }
        }
        return hasher.finalize()
    }

    /// The bytes of a string with its escapes resolved. Bytes, because two texts that differ can be equal as
    /// `String`.
    private func meaning(_ node: JSONNode, _ bytes: Span<UInt8>) -> [UInt8] {
        let raw = [UInt8](copying: bytes.extracting(node.range.offsets))
        return JSONEscapes.resolve(raw[...]).map { Array($0.utf8) } ?? raw
    }

    private mutating func open(_ kind: JSONValue.Kind) -> Int {
        nodes.append(JSONNode(kind: kind, hasEscapes: false, range: ByteRange(position, position), next: 0))
        position += 1
        return nodes.count - 1
    }

    private mutating func close(_ node: Int) {
        nodes[node].range = ByteRange(nodes[node].range.start, position)
        nodes[node].next = nodes.count
    }

    private mutating func accept(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace(_ bytes: Span<UInt8>) {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }
}

/// The escapes of RFC 8259 §7.
enum JSONEscapes {
    /// The text that an already checked string means.
    static func resolve(_ raw: ArraySlice<UInt8>) -> String? {
        var output: [UInt16] = []
        var plain: [UInt8] = []
        var text = ""
        func flush() {
            text += String(decoding: plain, as: UTF8.self)
            plain.removeAll(keepingCapacity: true)
        }
        var index = raw.startIndex
        while index < raw.endIndex {
            guard raw[index] == UInt8(ascii: "\\"), index + 1 < raw.endIndex else {
                plain.append(raw[index])
                index += 1
                continue
            }
            let kind = raw[index + 1]
            index += 2
            switch kind {
            case UInt8(ascii: "b"): plain.append(8)
            case UInt8(ascii: "f"): plain.append(12)
            case UInt8(ascii: "n"): plain.append(10)
            case UInt8(ascii: "r"): plain.append(13)
            case UInt8(ascii: "t"): plain.append(9)
            case UInt8(ascii: "u"):
                guard index + 4 <= raw.endIndex else { return nil }
                output.removeAll(keepingCapacity: true)
                output.append(codeUnit(raw, index))
                index += 4
                if (0xD800...0xDBFF).contains(output[0]), index + 6 <= raw.endIndex {
                    output.append(codeUnit(raw, index + 2))
                    index += 6
                }
                flush()
                text += String(decoding: output, as: UTF16.self)
            default: plain.append(kind)
            }
        }
        flush()
        return text
    }

    private static func codeUnit(_ raw: ArraySlice<UInt8>, _ start: Int) -> UInt16 {
        raw[start..<start + 4].reduce(0) { $0 << 4 | UInt16(ASCII.hexadecimalValue($1) ?? 0) }
    }
}
