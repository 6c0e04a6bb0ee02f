// What tests compare: everything that a parser has found out about a message, copied into plain values.

package import HTTP
import Primitives

/// A field line as it was read.
package struct ReadField: Equatable, Sendable, CustomStringConvertible {
    package let name: [UInt8]
    package let value: [UInt8]

    package init(_ name: String, _ value: String) {
        self.name = Array(name.utf8)
        self.value = Array(value.utf8)
    }

    init(_ field: HeaderField, _ bytes: Span<UInt8>) {
        name = [UInt8](copying: bytes.extracting(field.name.offsets))
        value = [UInt8](copying: bytes.extracting(field.value.offsets))
    }

    package var description: String {
        "\(String(decoding: name, as: UTF8.self)): \(String(decoding: value, as: UTF8.self))"
    }
}

/// A head as it was read.
package struct ReadHead: Equatable, Sendable {
    /// Method and target, or status and reason phrase.
    package var startLine: [String]
    /// Path, query and authority of a request; empty for a response.
    package var resource: [String]
    package var version: Version
    package var fields: [ReadField]
    package var framing: BodyFraming
    package var isPersistent: Bool
    package var expectsContinue: Bool
    /// How many bytes the head has.
    package var count: Int

    init(_ head: borrowing RequestHead, count: Int) {
        let block = ReadBlock(head.block)
        startLine = [block.text(head.methodRange), block.text(head.target)]
        resource = [block.text(head.path), block.text(head.query), block.text(head.authority)]
        version = head.version
        fields = block.fields
        framing = head.framing
        isPersistent = head.isPersistent
        expectsContinue = head.expectsContinue
        self.count = count
    }

    init(_ head: borrowing ResponseHead, count: Int) {
        let block = ReadBlock(head.block)
        startLine = [String(head.status), block.text(head.reason)]
        resource = []
        version = head.version
        fields = block.fields
        framing = head.framing
        isPersistent = head.isPersistent
        expectsContinue = false
        self.count = count
    }
}

/// A body as it was read.
package struct ReadBody: Equatable, Sendable {
    package var content: [UInt8]
    /// The trailer fields that go on.
    package var trailers: [UInt8]
    /// The bytes behind the body.
    package var rest: [UInt8]

    package init(content: [UInt8], trailers: [UInt8] = [], rest: [UInt8]) {
        self.content = content
        self.trailers = trailers
        self.rest = rest
    }
}

/// The lines of a block that have not been removed, and its bytes.
package struct ReadBlock: Sendable {
    package let bytes: [UInt8]
    package let fields: [ReadField]

    package init(_ block: borrowing HeaderBlock) {
        bytes = block.withBytes { [UInt8](copying: $0) }
        let lines = block.fields.filter { !$0.isRemoved }
        fields = block.withBytes { bytes in
            var fields: [ReadField] = []
            for line in lines { fields.append(ReadField(line, bytes)) }
            return fields
        }
    }

    func text(_ range: ByteRange) -> String { String(decoding: bytes[range.offsets], as: UTF8.self) }
}

extension HeaderBlock {
    /// The field lines that `write` makes.
    package borrowing func written() -> [UInt8] {
        var output = ByteBuffer()
        write(to: &output)
        return output.withReadable { [UInt8](copying: $0) }
    }
}
