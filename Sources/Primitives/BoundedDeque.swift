// A queue with a bound: first in, first out, in a ring that grows as it is needed and never past its limit.

/// A queue of at most so many elements.
package struct BoundedDeque<Element> {
    /// How many elements it takes.
    package let countMax: Int
    package private(set) var count = 0
    private var ring: [Element?] = []
    private var head = 0

    /// An empty queue; `countMax` 0 takes nothing.
    package init(countMax: Int) { self.countMax = max(0, countMax) }

    package var isEmpty: Bool { count == 0 }

    /// The one that has waited longest.
    package var first: Element? { count == 0 ? nil : ring[head] }

    /// Adds an element behind all others; false when there is no room.
    package mutating func append(_ element: Element) -> Bool {
        if count >= countMax { return false }
        if count == ring.count { grow() }
        ring[position(count)] = element
        count += 1
        return true
    }

    /// Puts an element in front of all others; false when there is no room.
    package mutating func prepend(_ element: Element) -> Bool {
        if count >= countMax { return false }
        if count == ring.count { grow() }
        head = (head + ring.count - 1) % ring.count
        ring[head] = element
        count += 1
        return true
    }

    /// Takes out the one that has waited longest.
    package mutating func popFirst() -> Element? {
        if count == 0 { return nil }
        let element = ring[head]
        ring[head] = nil
        head = (head + 1) % ring.count
        count -= 1
        return element
    }

    /// Takes out the first that is meant; the others keep their order.
    ///
    /// - Returns: whether there was one.
    package mutating func removeFirst(where isMeant: (Element) -> Bool) -> Bool {
        guard
            let index = (0..<count).first(where: { index in
                ring[position(index)].map(isMeant) ?? false
            })
        else { return false }
        for behind in index..<(count - 1) { ring[position(behind)] = ring[position(behind + 1)] }
        ring[position(count - 1)] = nil
        count -= 1
        return true
    }

    private func position(_ index: Int) -> Int { (head + index) % ring.count }

    private mutating func grow() {
        let elements = (0..<count).map { ring[position($0)] }
        let room = min(countMax, max(8, 2 * ring.count))
        ring = elements + Array(repeating: nil, count: room - elements.count)
        head = 0
    }
}
