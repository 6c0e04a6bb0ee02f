// How the end of a process is told.

import Testing

@testable import Network

@Suite("Processes")
struct ProcessesTests {
    @Test(
        "an exit code and a signal are told apart, whether or not there is a core dump",
        arguments: [
            (0x0000, "with exit code 0"), (0x0100, "with exit code 1"), (78 << 8, "with exit code 78"),
            (0xFF00, "with exit code 255"), (9, "by signal 9"), (11 | 0x80, "by signal 11"),
        ] as [(Int32, String)])
    func way(_ status: Int32, _ text: String) {
        #expect(Processes.way(ofStatus: status) == text)
    }
}
