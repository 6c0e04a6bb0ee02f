// The field lines of one message head: a copy of its bytes, and ranges into them.
//
// Nothing is decoded. Editing a head means marking lines as removed and appending others when it is written;
// the lines that stay leave in as few copies as there are gaps between them (ARCHITECTURE 2.4, step 11).

public import Primitives

/// One field line of a head.
public struct HeaderField: Sendable {
    /// Where the name stands.
    public let name: ByteRange
    /// Where the value stands, without the white space around it.
    public let value: ByteRange
    /// The name when it is a known one, spelled exactly.
    package let known: FieldName
    /// The known name that an upstream might take this one for: the name itself, or what it folds to.
    package let alias: FieldName
    /// Whether the line reads `name: value CRLF` and may be copied as it stands.
    let isCanonical: Bool
    /// Whether the line is left out when the head is written.
    package var isRemoved = false
}

/// The bytes and field lines of a head.
public struct HeaderBlock: ~Copyable {
    @usableFromInline var bytes = ByteBuffer()
    /// The field lines in their order.
    public internal(set) var fields: [HeaderField] = []
    /// Bit n is set when the known name with raw value n occurs, spelled exactly.
    var present: UInt64 = 0
    /// Likewise for what a name folds to.
    var presentAliases: UInt64 = 0
    private var hasImitations = false

    /// A block without lines.
    public init() {
        fields.reserveCapacity(32)
    }

    /// Lends the bytes that all ranges of this head point into.
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withReadable(body)
    }

    /// The index of the first line of that name, removed lines not counted.
    package func first(_ name: FieldName) -> Int? {
        if present & (1 << UInt64(name.rawValue)) == 0 { return nil }
        return fields.firstIndex { $0.known == name && !$0.isRemoved }
    }

    /// How many lines of that name there are, removed ones counted.
    package func count(of name: FieldName) -> Int {
        if present & (1 << UInt64(name.rawValue)) == 0 { return 0 }
        var count = 0
        for field in fields where field.known == name { count += 1 }
        return count
    }

    /// The value of the first line of that name, as text; bytes that are not UTF-8 are replaced.
    package func text(_ name: FieldName) -> String? {
        guard let index = first(name) else { return nil }
        let range = fields[index].value
        return withBytes { bytes in String(lossy: bytes.extracting(range.offsets)) }
    }

    /// Whether the first line of that name has exactly this value, in any case of letters.
    package func equals(_ name: FieldName, lowercase value: StaticString) -> Bool {
        guard let index = first(name) else { return false }
        let range = fields[index].value
        return withBytes { bytes in
            bytes.extracting(range.offsets).equalsIgnoringCase(value)
        }
    }

    /// Leaves a line out.
    package mutating func remove(at index: Int) { fields[index].isRemoved = true }

    /// Leaves out every line whose known name, spelled exactly, is one of a set.
    package mutating func remove(_ names: FieldNameSet) {
        if present & names.bits == 0 { return }
        for index in fields.indices where names.contains(fields[index].known) {
            fields[index].isRemoved = true
        }
    }

    /// Leaves out every line that an upstream might take for one of a set of names, however it is spelled.
    package mutating func removeAliases(_ names: FieldNameSet) {
        if presentAliases & names.bits == 0 { return }
        for index in fields.indices where names.contains(fields[index].alias) {
            fields[index].isRemoved = true
        }
    }

    /// Leaves out every line that folds to a known name without being spelled like it: `Content_Length`
    /// beside `Content-Length` is two fields to us and one to a CGI-like upstream.
    package mutating func removeImitations() {
        if !hasImitations { return }
        for index in fields.indices where fields[index].known != fields[index].alias {
            fields[index].isRemoved = true
        }
    }

    /// Leaves out every line whose folded name equals `folded`.
    package mutating func removeFolded(_ folded: [UInt8]) {
        for index in fields.indices where fields[index].name.count == folded.count {
            let range = fields[index].name
            if withBytes({ FieldFolding.folds($0.extracting(range.offsets), to: folded) }) {
                fields[index].isRemoved = true
            }
        }
    }

    /// Writes the lines that stay, each with its CRLF, in one copy per run of neighbours.
    package func write(to output: inout ByteBuffer) {
        withBytes { bytes in
            var runStart = 0
            var runEnd = 0
            for field in fields where !field.isRemoved {
                if field.isCanonical {
                    if field.name.start != runEnd || runEnd == runStart {
                        output.append(bytes.extracting(runStart..<runEnd))
                        runStart = field.name.start
                    }
                    runEnd = field.value.end + 2
                } else {
                    output.append(bytes.extracting(runStart..<runEnd))
                    runStart = 0
                    runEnd = 0
                    output.append(bytes, field.name)
                    output.append(": ")
                    output.append(bytes, field.value)
                    output.append("\r\n")
                }
            }
            output.append(bytes.extracting(runStart..<runEnd))
        }
    }

    /// Forgets the head; the memory stays for the next one.
    package mutating func reset() {
        bytes.removeAll()
        fields.removeAll(keepingCapacity: true)
        present = 0
        presentAliases = 0
        hasImitations = false
    }

    /// Gives the memory back: the connection has fallen idle.
    package mutating func release() {
        bytes = ByteBuffer()
        fields = []
        present = 0
        presentAliases = 0
        hasImitations = false
    }

    mutating func keep(_ head: Span<UInt8>) { bytes.append(head) }

    mutating func append(_ field: HeaderField) {
        fields.append(field)
        if field.known != field.alias { hasImitations = true }
        present |= 1 << UInt64(field.known.rawValue)
        presentAliases |= 1 << UInt64(field.alias.rawValue)
    }
}

/// A set of known field names.
package struct FieldNameSet: Sendable {
    package let bits: UInt64

    package init(_ names: [FieldName]) {
        bits = names.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    }

    package func contains(_ name: FieldName) -> Bool {
        bits >> UInt64(name.rawValue) & 1 == 1 && name != .other
    }

    /// RFC 9110 §7.6.1.
    package static let hopByHop = FieldNameSet(FieldName.allCases.filter(\.isHopByHop))
}
