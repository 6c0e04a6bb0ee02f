// Field lines (RFC 9112 §5): `field-line = field-name ":" OWS field-value OWS`, and the empty line that ends
// them.

import Primitives

/// Parses the field lines of a head into a block.
enum FieldParser {
    /// - Parameters:
    ///   - bytes: the head from its first byte.
    ///   - start: where the first field line, or the final CRLF, begins.
    /// - Returns: the offset behind the final CRLF, or that more bytes are needed.
    static func parse(
        _ bytes: Span<UInt8>, from start: Int, into block: inout HeaderBlock, limits: MessageLimits
    ) throws(ProtocolViolation) -> HeadResult {
        let table = FieldNameTable.shared
        let token = ASCII.token
        let count = bytes.count
        var index = start
        while true {
            guard index < count else { return .needsMore }
            if bytes[index] == 0x0D {
                guard index + 1 < count else { return .needsMore }
                if bytes[index + 1] != 0x0A { throw .bareCarriageReturn }
                return .complete(index + 2)
            }
            if block.fields.count >= limits.fieldCountMax { throw .tooManyFields }

            let nameStart = index
            var hash = FieldFolding.seed
            while index < count {
                let byte = bytes[index]
                if !token.contains(byte) { break }
                hash = FieldFolding.mix(hash, FieldFolding.fold(byte))
                index += 1
            }
            guard index < count else { return .needsMore }
            let nameEnd = index
            if bytes[index] != UInt8(ascii: ":") || nameEnd == nameStart {
                // RFC 9112 §5.2: a server MUST refuse obs-fold, or replace it; refusing is what cannot be
                // misread.
                let isFolded = nameEnd == nameStart && (bytes[index] == 0x20 || bytes[index] == 0x09)
                if isFolded { throw .foldedLine }
                guard let fault = LineFault.violation(bytes, at: index, otherwise: .fieldName) else {
                    return .needsMore
                }
                throw fault
            }
            index += 1

            guard let value = try valueRange(bytes, &index) else { return .needsMore }
            let (alias, isExact) = table.name(foldedHash: hash, bytes, nameStart, nameEnd)
            let isCanonical =
                value.start == nameEnd + 2 && bytes[nameEnd + 1] == 0x20 && value.end + 2 == index
            block.append(
                HeaderField(
                    name: ByteRange(nameStart, nameEnd), value: value, known: isExact ? alias : .other,
                    alias: alias, isCanonical: isCanonical))
        }
    }

    /// Reads a value and its line end; `index` stands behind the LF afterwards. nil: the line end has not
    /// arrived.
    @inline(__always)
    private static func valueRange(
        _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(ProtocolViolation) -> ByteRange? {
        let count = bytes.count
        var position = index
        while position < count, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
        let valueStart = position
        // RFC 9110 §5.5: `field-vchar = VCHAR / obs-text`, with SP and HTAB between.
        position = bytes.firstControl(from: position)
        while position < count && bytes[position] == 0x09 {
            position = bytes.firstControl(from: position + 1)
        }
        guard position < count else { return nil }
        switch bytes[position] {
        case 0x0D: break
        case 0x0A: throw .bareLineFeed
        default: throw .controlByte
        }
        guard position + 1 < count else { return nil }
        // RFC 9110 §5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
        if bytes[position + 1] != 0x0A { throw .bareCarriageReturn }
        var valueEnd = position
        while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 {
            valueEnd -= 1
        }
        index = position + 2
        return ByteRange(valueStart, valueEnd)
    }
}
