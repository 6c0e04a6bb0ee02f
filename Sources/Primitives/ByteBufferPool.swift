// A shard's free list of fixed-size blocks. A connection takes one when bytes arrive and gives it back when
// it falls idle, so that ten thousand idle connections hold no buffers.
//
// Owned by: one shard. The ceiling bounds what a past burst keeps of the process' memory.

/// A free list of buffers of one size.
public struct ByteBufferPool: ~Copyable {
    private let blockBytes: Int
    private let blocksMax: Int
    private var blocks: UniqueStack

    /// - Parameters:
    ///   - blockBytes: the capacity of every buffer handed out.
    ///   - blocksMax: how many unused buffers are kept; more are freed.
    public init(blockBytes: Int, blocksMax: Int) {
        self.blockBytes = blockBytes
        self.blocksMax = blocksMax
        blocks = UniqueStack()
    }

    /// Gives `buffer` a block when it has none.
    public mutating func supply(_ buffer: inout ByteBuffer) {
        if buffer.hasBlock { return }
        buffer = blocks.pop() ?? ByteBuffer(capacity: blockBytes)
    }

    /// Takes the block of an emptied buffer back. A buffer that still holds bytes keeps its block.
    public mutating func reclaim(_ buffer: inout ByteBuffer) {
        if !buffer.hasBlock || !buffer.isEmpty { return }
        var returned = ByteBuffer()
        swap(&returned, &buffer)
        // A block that grew past the common size is not worth keeping.
        if returned.capacity == blockBytes && blocks.count < blocksMax {
            blocks.push(returned)
        }
    }
}

/// A stack of buffers, linked through boxes because an array cannot hold what cannot be copied.
private struct UniqueStack: ~Copyable {
    private final class Box {
        var buffer: ByteBuffer
        var next: Box?
        init(_ buffer: consuming ByteBuffer, next: Box?) {
            self.buffer = buffer
            self.next = next
        }
    }

    private var top: Box?
    private var spare: Box?
    private(set) var count = 0

    mutating func push(_ buffer: consuming ByteBuffer) {
        if let box = spare {
            spare = box.next
            box.buffer = buffer
            box.next = top
            top = box
        } else {
            top = Box(buffer, next: top)
        }
        count += 1
    }

    mutating func pop() -> ByteBuffer? {
        guard let box = top else { return nil }
        top = box.next
        box.next = spare
        spare = box
        count -= 1
        var buffer = ByteBuffer()
        swap(&buffer, &box.buffer)
        return buffer
    }
}
