// Handles to objects that come and go: an index into a table plus a generation that changes each time the
// slot is freed, so that an event or a reply meant for an old connection cannot reach the one that took its
// place.

/// A table of values behind handles that go stale when their value is removed.
@frozen
public struct SlotMap<Value> {
    /// Names one value for as long as it stays in the map. 0 is no handle.
    @frozen
    public struct Handle: Sendable, Hashable {
        /// Generation in the upper half, slot index in the lower: fits in an epoll event.
        public let raw: UInt64

        /// The handle with that representation.
        @inlinable
        public init(raw: UInt64) { self.raw = raw }

        @inlinable
        init(index: Int, generation: UInt32) { raw = UInt64(generation) << 32 | UInt64(index) }

        @inlinable
        var index: Int { Int(raw & 0xffff_ffff) }

        @inlinable
        var generation: UInt32 { UInt32(raw >> 32) }
    }

    @usableFromInline
    struct Slot {
        @usableFromInline var generation: UInt32
        @usableFromInline var value: Value?

        @inlinable
        init(generation: UInt32, value: Value?) {
            self.generation = generation
            self.value = value
        }
    }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var free: [Int] = []

    /// An empty map.
    @inlinable
    public init() {}

    /// How many values the map holds.
    @inlinable
    public var count: Int { slots.count - free.count }

    /// Adds a value and names it.
    @inlinable
    public mutating func insert(_ value: Value) -> Handle {
        if let index = free.popLast() {
            slots[index].value = value
            return Handle(index: index, generation: slots[index].generation)
        }
        slots.append(Slot(generation: 1, value: value))
        return Handle(index: slots.count - 1, generation: 1)
    }

    /// The value of a handle; nil when it has been removed.
    @inlinable
    public subscript(handle: Handle) -> Value? {
        let index = handle.index
        guard index < slots.count, slots[index].generation == handle.generation else { return nil }
        return slots[index].value
    }

    /// Removes a value; its handle is stale from now on. A stale handle removes nothing.
    @inlinable
    @discardableResult
    public mutating func remove(_ handle: Handle) -> Value? {
        let index = handle.index
        guard index < slots.count, slots[index].generation == handle.generation else { return nil }
        guard let value = slots[index].value else { return nil }
        slots[index].value = nil
        slots[index].generation &+= 1
        if slots[index].generation == 0 { slots[index].generation = 1 }
        free.append(index)
        return value
    }

    /// Every value in the map, in no particular order.
    @inlinable
    public var values: [Value] { slots.compactMap(\.value) }
}
