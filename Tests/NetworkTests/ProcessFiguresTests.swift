// What the kernel says of the process: as its files spell it, and of this very process.

import Network
import Testing

@Suite struct ProcessFiguresTests {
    private let limits = """
        Limit                     Soft Limit           Hard Limit           Units
        Max cpu time              unlimited            unlimited            seconds
        Max open files            1024                 524288               files
        """

    private func status(name: String) -> String {
        "4711 (\(name)) S 1 4711 4711 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 5 0 12300 484499456 6045 "
            + "18446744073709551615 1 1 0"
    }

    @Test("every figure is read from its field", arguments: ["auth-gateway", "a) S 9 9 9 (b"])
    func figures(_ name: String) throws {
        let figures = try #require(
            ProcessFigures(
                status: status(name: name), machine: "cpu 1 2\nbtime 1700000000\n", limits: limits,
                ticksPerSecond: 100, pageBytes: 4096))
        #expect(figures.processorSeconds == 3 && figures.startSeconds == 1_700_000_123)
        #expect(figures.virtualBytes == 484_499_456 && figures.residentBytes == 6045 * 4096)
        #expect(figures.descriptorsMax == 1024)
    }

    @Test("a file that is cut off tells nothing")
    func cut() {
        let whole = status(name: "a")
        for count in [0, 10, 60] {
            let figures = ProcessFigures(
                status: String(whole.prefix(count)), machine: "", limits: "", ticksPerSecond: 100,
                pageBytes: 4096)
            #expect(figures == nil)
        }
    }

    @Test("this process has memory, descriptors, and a start in the past")
    func current() throws {
        let figures = try #require(ProcessFigures.current)
        #expect(figures.residentBytes > 1_000_000 && figures.virtualBytes >= figures.residentBytes)
        #expect(figures.openDescriptors >= 3 && figures.descriptorsMax > 3)
        #expect(figures.startSeconds > 1_700_000_000)
    }
}
