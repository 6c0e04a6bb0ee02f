// Seeded damage to a good configuration: whatever comes out must give an answer, and diagnostics that point
// into it.
//
// The seed is fixed and printed by a failing expectation, so a failure can be repeated.

import Configuration
import Testing

@Suite("Damaged configurations")
struct MutationTests {
    /// SplitMix64.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    @Test("2,000 damaged configurations all give an answer, without a crash")
    func mutations() {
        let good = Array((completeSample + "\n" + completeSampleIncluded).utf8)
        let lures = [
            "${", "\"", "{", "}", ";", "#", "\\", "secret ", "include gateway.conf;", "\u{0}", "é",
            "99999999999",
        ]
        for round in 0..<2_000 {
            var generator = Generator(state: UInt64(round))
            var bytes = good
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let at = Int.random(in: 0..<max(1, bytes.count), using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0 where at < bytes.count:
                    bytes[at] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes = Array(bytes.prefix(at))
                case 2:
                    bytes.insert(
                        contentsOf: (lures.randomElement(using: &generator) ?? "").utf8,
                        at: min(at, bytes.count))
                case 3:
                    let from = Int.random(in: 0..<good.count, using: &generator)
                    bytes.insert(contentsOf: good[from...].prefix(40), at: min(at, bytes.count))
                default: bytes.removeSubrange(min(at, bytes.count)..<min(at + 15, bytes.count))
                }
            }
            let loaded = load(bytes, environment: completeEnvironment)
            let hasError = loaded.diagnostics.contains { $0.severity == .error }
            #expect((loaded.configuration == nil) == hasError, "seed \(round)")
            for diagnostic in loaded.diagnostics {
                #expect(diagnostic.line >= 1 && diagnostic.column >= 1, "seed \(round)")
                #expect(!diagnostic.rendered.contains(sampleSecret), "seed \(round)")
                #expect(!diagnostic.rendered.contains(sampleKey), "seed \(round)")
            }
        }
    }

    @Test("each truncation of a good configuration gives an answer")
    func truncations() {
        let good = Array(completeSample.utf8)
        for length in 0..<good.count {
            let loaded = load(Array(good.prefix(length)), environment: completeEnvironment)
            #expect(loaded.configuration != nil || !loaded.diagnostics.isEmpty)
        }
    }

    @Test("bytes of every value, alone and in pairs with syntax, give an answer")
    func everyByte() {
        for byte in UInt8.min...UInt8.max {
            for surroundings in ["", "listen ", "listen \"", "a ${", "a ${X:-", "route "] {
                let loaded = load(Array(surroundings.utf8) + [byte])
                #expect(loaded.configuration == nil)
            }
        }
    }
}
