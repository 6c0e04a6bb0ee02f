// The server keys of refresh tokens over time: known before they are used, kept while a token of theirs
// can come back.

import Primitives
import Testing

@testable import Sessions

@Suite struct RefreshKeyRingTests {
    private let start = Samples.start
    private let week = 7 * Samples.day

    private func after(_ milliseconds: Int64) -> WallTime { start.advanced(byMilliseconds: milliseconds) }

    private func numbers(_ ring: RefreshKeyRing, _ now: WallTime) -> [UInt8] {
        ring.keys(at: now).map(\.number)
    }

    @Test("a new key is believed at once, and makes tokens half a minute later")
    func announcement() throws {
        var ring = RefreshKeyRing(idle: week)
        try ring.rotate(idle: week, force: false, now: start)
        #expect(numbers(ring, start) == [1, 2] && numbers(ring, after(29_999)) == [1, 2])
        #expect(numbers(ring, after(30_000)) == [2, 1])
        // A clock that steps back has the older one make them again, which everybody still believes.
        #expect(numbers(ring, after(-1)) == [1, 2])
    }

    @Test("the newest key has to have been in use for a while, unless it is forced")
    func settling() throws {
        var ring = RefreshKeyRing(idle: week)
        try ring.rotate(idle: week, force: false, now: start)
        #expect(throws: RefreshKeyRefusal.newestTooYoung(secondsLeft: 120)) {
            try ring.rotate(idle: week, force: false, now: start)
        }
        try ring.rotate(idle: week, force: true, now: after(1000))
        #expect(numbers(ring, after(30_500)) == [2, 3, 1] && numbers(ring, after(31_000)) == [3, 2, 1])
        try ring.rotate(idle: week, force: false, now: after(121_000))
        #expect(ring.keys.map(\.number) == [4, 3, 2, 1])
    }

    @Test("an old key is kept for twice the idle lifetime behind the next one's beginning, and then goes")
    func retention() throws {
        var ring = RefreshKeyRing(idle: week)
        try ring.rotate(idle: week, force: false, now: start)
        ring.upkeep(idle: week, now: after(2 * week + 89_999))
        #expect(ring.keys.map(\.number) == [2, 1])
        ring.upkeep(idle: week, now: after(2 * week + 90_000))
        #expect(ring.keys.map(\.number) == [2])
        // The last one stays, however old.
        ring.upkeep(idle: week, now: after(1000 * week))
        #expect(ring.keys.map(\.number) == [2])
    }

    @Test("an idle lifetime that is made shorter takes nothing from the sessions there are")
    func shorterIdle() throws {
        var ring = RefreshKeyRing(idle: week)
        ring.upkeep(idle: 4 * week, now: start)
        ring.upkeep(idle: week, now: start)
        try ring.rotate(idle: week, force: false, now: start)
        ring.upkeep(idle: week, now: after(8 * week))
        #expect(ring.keys.map(\.number) == [2, 1])
        ring.upkeep(idle: week, now: after(8 * week + 90_000))
        #expect(ring.keys.map(\.number) == [2])
    }

    @Test("numbers go round and leave out those in use and zero; how many keys there are has a limit")
    func numbering() throws {
        var ring = try #require(
            RefreshKeyRing(parsing: RefreshKey(number: 254).line + RefreshKey(number: 1).line))
        try ring.rotate(idle: week, force: true, now: start)
        try ring.rotate(idle: week, force: true, now: start)
        #expect(ring.keys.map(\.number) == [2, 255, 254, 1])
        for _ in 0..<28 { try ring.rotate(idle: week, force: true, now: start) }
        #expect(throws: RefreshKeyRefusal.tooManyKeys) {
            try ring.rotate(idle: week, force: true, now: start)
        }
        #expect(Set(ring.keys.map(\.number)).count == 32 && !ring.keys.contains { $0.number == 0 })
    }

    @Test("a key file is read whole or not at all, with and without what later releases write")
    func keyFile() throws {
        let (first, second) = (RefreshKey(number: 200, since: start, idle: 5), RefreshKey(number: 1))
        let read = try #require(RefreshKeyRing(parsing: first.line + second.line))
        #expect(read.keys.map(\.number) == [200, 1] && read.text == first.line + second.line)
        #expect(read.keys[0].since == start && read.keys[0].idle == 5 && read.keys[1].idle == 0)
        let plain = RefreshKey(number: 200)
        let line = String(decoding: plain.line, as: UTF8.self)
        #expect(line.utf8.count == 4 + 43 + 1)
        let value = String(line.dropFirst(4).dropLast())
        let bad: [String] = [
            "", "\n", "200", "200 \n", "\(line)\(line)", "\(line)junk\n", "256 \(value)\n", "-1 \(value)\n",
            "x \(value)\n", "200 \(value.dropLast())\n", "200 \(value)A\n", "200 \(value) x\n",
            "200 \(value)\r\n", "\(value)\n", "200 \(value) since=\n", "200 \(value) since=-1\n",
            "200 \(value) since=1 since=2\n", "200 \(value) until=1\n", "200 \(value) idle=x\n",
        ]
        for text in bad { #expect(RefreshKeyRing(parsing: Array(text.utf8)) == nil, "\(text.count) bytes") }
    }

    @Test("a key prints without its secret")
    func printing() {
        let key = RefreshKey(number: 1)
        let secret = String(decoding: key.line, as: UTF8.self).dropFirst(2).dropLast()
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!"\(key)\(dumped)\(String(reflecting: key))".contains(secret))
    }
}
