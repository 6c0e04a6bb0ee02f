// The block behind every socket: growth, compaction, consumption, and the pool that takes emptied blocks
// back.

import Primitives
import Support
import Testing

@Suite struct ByteBufferTests {
    @Test("a new buffer has no memory, and gets it with the first byte")
    func empty() {
        var buffer = ByteBuffer()
        #expect(buffer.hasBlock == false)
        #expect(content(buffer) == [])
        buffer.append([UInt8]())
        #expect(buffer.capacity == 0)
        buffer.append(byte: 7)
        #expect(content(buffer) == [7])
        #expect(buffer.capacity == 256)
    }

    @Test("bytes survive growth, whatever was consumed before")
    func growth() {
        for consumed in [0, 1, 7, 15, 16] {
            var buffer = ByteBuffer(capacity: 16)
            buffer.append(Array(0..<16))
            buffer.consume(consumed)
            buffer.append(Array(100..<200))
            #expect(content(buffer) == Array(0..<16).dropFirst(consumed) + Array(100..<200))
        }
    }

    @Test("room in front of the readable bytes is won back before the block grows")
    func compaction() {
        var buffer = ByteBuffer(capacity: 16)
        buffer.append(Array(0..<16))
        buffer.consume(10)
        #expect(buffer.freeCount == 10)
        buffer.append(Array(20..<30))
        #expect(buffer.capacity == 16)
        #expect(content(buffer) == Array(10..<16) + Array(20..<30))
        buffer.append(byte: 1)
        #expect(buffer.capacity > 16)
        #expect(buffer.count == 17)
    }

    @Test("consuming everything makes the whole block writable again")
    func consume() {
        var buffer = ByteBuffer(capacity: 8)
        buffer.append(Array(0..<8))
        buffer.consume(8)
        #expect(buffer.freeCount == 8)
        let room = filled(&buffer, with: Array(0..<8))
        #expect(room == 8)
        buffer.removeAll()
        #expect(buffer.count == 0)
        #expect(buffer.capacity == 8)
    }

    @Test("a system call is offered the room behind the bytes, and what it writes becomes readable")
    func fill() {
        var buffer = ByteBuffer(capacity: 8)
        buffer.append([1, 2, 3])
        #expect(filled(&buffer, with: [4, 5]) == 5)
        #expect(content(buffer) == [1, 2, 3, 4, 5])
        #expect(filled(&buffer, with: [6, 7, 8]) == 3)
        #expect(filled(&buffer, with: []) == 0)
        buffer.consume(2)
        #expect(filled(&buffer, with: [9]) == 2)
        #expect(content(buffer) == [3, 4, 5, 6, 7, 8, 9])
    }

    @Test("a system call that fails changes nothing, and its error is passed on")
    func failedFill() {
        var buffer = ByteBuffer(capacity: 8)
        buffer.append([1, 2])
        let result = buffer.fill { _ in -11 }
        #expect(result == -11)
        #expect(content(buffer) == [1, 2])
    }

    @Test(
        "numbers are written in digits",
        arguments: [0, 1, 9, 10, 15, 16, 255, 256, 999, 1000, 1 << 60, UInt64.max - 1, UInt64.max])
    func numbers(_ value: UInt64) {
        var buffer = ByteBuffer()
        buffer.append(decimal: value)
        buffer.append(" ")
        buffer.append(hexadecimal: value)
        #expect(String(decoding: content(buffer), as: UTF8.self) == "\(value) \(String(value, radix: 16))")
    }

    @Test("any order of appending, filling and consuming gives the bytes of a plain queue", arguments: 0..<10)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var buffer = ByteBuffer()
        var queue: [UInt8] = []
        for _ in 0..<500 {
            let bytes = random.bytes(random.below(70))
            switch random.below(5) {
            case 0, 1:
                buffer.append(bytes)
                queue += bytes
            case 2:
                let promised = buffer.fillCount
                let room = filled(&buffer, with: bytes)
                queue += bytes.prefix(room)
                #expect(room == promised)
            case 3: buffer.reserve(bytes.count)
            default:
                let count = random.below(queue.count + 1)
                buffer.consume(count)
                queue.removeFirst(count)
            }
            #expect(content(buffer) == queue, "seed \(seed)")
            #expect(buffer.count + buffer.freeCount == buffer.capacity)
        }
    }

    // MARK: - Whole spans

    @Test("the first control byte is found at whatever place it stands, across blocks and at their ends")
    func control() {
        let controls: [UInt8] = [0, 0x09, 0x0A, 0x0D, 0x1F, 0x7F]
        for count in 0..<50 {
            let plain = (0..<count).map { $0 % 3 == 0 ? UInt8(0xFF) : 0x20 }
            for start in 0...count { #expect(plain.span.firstControl(from: start) == count) }
            for place in 0..<count {
                var bytes = plain
                bytes[place] = controls[place % controls.count]
                for start in 0...place { #expect(bytes.span.firstControl(from: start) == place) }
                #expect(bytes.span.firstControl(from: place + 1) == count)
            }
        }
    }

    @Test("spans are equal when all bytes are, and empty ones too")
    func equality() {
        let (empty, one, other): ([UInt8], [UInt8], [UInt8]) = ([], Array("aB1_".utf8), Array("ab1_".utf8))
        #expect(empty.span.equals("") == true)
        #expect(empty.span.equals(empty.span) == true)
        #expect(empty.span.equalsIgnoringCase("") == true)
        #expect(one.span.equals("aB1_") == true)
        #expect(one.span.equals(other.span) == false)
        #expect(one.span.equals("aB1") == false)
        #expect(one.span.equalsIgnoringCase("ab1_") == true)
        #expect(one.span.equalsIgnoringCase("ab1\u{7F}") == false)
    }

    // MARK: - The pool

    @Test("the pool supplies blocks of its size, and only to a buffer that has none")
    func supply() {
        var pool = ByteBufferPool(blockBytes: 64, blocksMax: 2)
        var buffer = ByteBuffer()
        pool.supply(&buffer)
        #expect(buffer.capacity == 64)
        buffer.append([1, 2, 3])
        pool.supply(&buffer)
        #expect(content(buffer) == [1, 2, 3])
    }

    @Test("a buffer that still holds bytes keeps its block, an emptied one gives it back")
    func reclaim() {
        var pool = ByteBufferPool(blockBytes: 64, blocksMax: 2)
        var buffer = ByteBuffer()
        pool.supply(&buffer)
        buffer.append([1])
        pool.reclaim(&buffer)
        #expect(content(buffer) == [1])
        buffer.consume(1)
        pool.reclaim(&buffer)
        #expect(buffer.hasBlock == false)
    }

    @Test("a block that has grown is freed, so that every block supplied has the pool's size")
    func grown() {
        var pool = ByteBufferPool(blockBytes: 64, blocksMax: 2)
        var buffer = ByteBuffer()
        pool.supply(&buffer)
        buffer.append([UInt8](repeating: 0, count: 65))
        buffer.removeAll()
        pool.reclaim(&buffer)
        pool.supply(&buffer)
        #expect(buffer.capacity == 64)
    }

    @Test("the pool keeps as many blocks as its ceiling allows, and frees the next", arguments: 0..<4)
    func ceiling(blocksMax: Int) {
        // Fresh blocks of this size come from the kernel and are zero, so a mark tells a block that was kept.
        var pool = ByteBufferPool(blockBytes: 64 << 20, blocksMax: blocksMax)
        var first = ByteBuffer()
        var second = ByteBuffer()
        var third = ByteBuffer()
        for round in 0..<2 {
            pool.supply(&first)
            pool.supply(&second)
            pool.supply(&third)
            let kept = mark(&first) + mark(&second) + mark(&third)
            #expect(kept == (round == 0 ? 0 : min(blocksMax, 3)))
            pool.reclaim(&first)
            pool.reclaim(&second)
            pool.reclaim(&third)
        }
    }

    // MARK: - Searching

    @Test("three bytes in a row are found at every offset of texts of every size around a block")
    func triple() {
        for count in 3..<100 {
            for offset in 0...(count - 3) {
                var bytes = [UInt8](repeating: UInt8(ascii: "r"), count: count)
                bytes[offset + 1] = UInt8(ascii: "t")
                bytes[offset + 2] = UInt8(ascii: "_")
                #expect(triple(bytes, from: 0) == offset)
                #expect(triple(bytes, from: offset) == offset)
                #expect(triple(bytes, from: offset + 1) == count)
            }
        }
    }

    @Test("two of three bytes are not found, nor three that an end cuts")
    func brokenTriple() {
        for text in ["", "r", "rt", "t_", "rt-_", "r_t", "tr_", String(repeating: "rt", count: 40)] {
            #expect(triple(Array(text.utf8), from: 0) == text.utf8.count)
        }
    }

    private func triple(_ bytes: [UInt8], from start: Int) -> Int {
        bytes.span.firstOffset(of: UInt8(ascii: "r"), UInt8(ascii: "t"), UInt8(ascii: "_"), from: start)
    }

    // MARK: - Parts

    private func content(_ buffer: borrowing ByteBuffer) -> [UInt8] {
        buffer.withReadable { [UInt8](copying: $0) }
    }

    /// Fills what fits of `bytes` in, and answers how much room there was.
    private func filled(_ buffer: inout ByteBuffer, with bytes: [UInt8]) -> Int {
        var room = 0
        _ = buffer.fill { span in
            room = span.count
            let count = min(bytes.count, room)
            for index in 0..<count { span[index] = bytes[index] }
            return count
        }
        return room
    }

    /// Marks an empty buffer's block; 1 when it bore the mark already.
    private func mark(_ buffer: inout ByteBuffer) -> Int {
        var found = 0
        _ = buffer.fill { span in
            found = span[0] == 0xA5 ? 1 : 0
            span[0] = 0xA5
            return 0
        }
        return found
    }
}
