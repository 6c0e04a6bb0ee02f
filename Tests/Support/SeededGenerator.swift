// Random numbers that come again: a failing run names its seed, and the seed brings the failure back.
//
// SplitMix64: a counter and a mixing function. Good enough to vary inputs with, and for nothing else.

/// A generator whose numbers follow from its seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The generator of a seed.
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is positive.
    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// One of `choices`, which are not empty.
    package mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    /// Some bytes of any value.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    /// `original` with one to four edits: a byte changed, inserted, dropped or doubled, a stretch cut or
    /// repeated.
    ///
    /// - Parameter spice: the bytes that break grammars, from which half of the insertions are taken.
    package mutating func mutated(_ original: [UInt8], spice: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0...below(4) where !bytes.isEmpty {
            let index = below(bytes.count)
            let fresh = below(2) == 0 ? pick(spice) : UInt8(truncatingIfNeeded: next())
            let end = min(bytes.count, index + 1 + below(12))
            switch below(6) {
            case 0: bytes[index] = fresh
            case 1: bytes.insert(fresh, at: index)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(bytes[index], at: index)
            case 4: bytes.removeSubrange(index..<end)
            default: bytes.insert(contentsOf: bytes[index..<end], at: below(bytes.count))
            }
        }
        return bytes
    }
}
