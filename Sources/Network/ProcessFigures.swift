// What the kernel says of this process, under the names that every Prometheus client has for it. From /proc,
// which is memory and never waits for a disk.

import Glibc
import Primitives

/// Processor time, memory and descriptors of this process.
package struct ProcessFigures: Sendable, Equatable {
    package var processorSeconds = 0.0
    package var residentBytes: UInt64 = 0
    package var virtualBytes: UInt64 = 0
    package var openDescriptors = 0
    package var descriptorsMax: UInt64 = 0
    /// When it was started, in seconds since 1970.
    package var startSeconds = 0.0

    /// What is so now; nil where /proc cannot be read.
    package static var current: ProcessFigures? {
        // systemd's ProcSubset=pid hides what is not about processes.
        let machine = text("/proc/stat") ?? "btime \(Clock.wall.seconds - Clock.sinceBootSeconds)"
        guard let status = text("/proc/self/stat"),
            let limits = text("/proc/self/limits"),
            var figures = ProcessFigures(
                status: status, machine: machine, limits: limits,
                ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
                pageBytes: UInt64(sysconf(Int32(_SC_PAGESIZE))))
        else { return nil }
        // Without the one that counts them.
        figures.openDescriptors = max(0, (Syscalls.countEntries(of: "/proc/self/fd") ?? 1) - 1)
        return figures
    }

    /// Reads the files' texts (proc(5)).
    package init?(
        status: String, machine: String, limits: String, ticksPerSecond: Double, pageBytes: UInt64
    ) {
        // The second field is the program's name in brackets, which may hold anything.
        guard let end = status.lastIndex(of: ")") else { return nil }
        let fields = status[end...].split(separator: " ")
        guard fields.count > 22, let user = Double(fields[12]), let system = Double(fields[13]),
            let start = Double(fields[20]), let virtual = UInt64(fields[21]),
            let resident = UInt64(fields[22].prefix { $0.isNumber })
        else { return nil }
        processorSeconds = (user + system) / ticksPerSecond
        virtualBytes = virtual
        residentBytes = resident * pageBytes
        let boot = machine.split(separator: "\n").first { $0.hasPrefix("btime ") }
        startSeconds = (boot.flatMap { Double($0.dropFirst(6)) } ?? 0) + start / ticksPerSecond
        let files = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        let words = files?.dropFirst("Max open files".count).split(separator: " ") ?? []
        descriptorsMax = words.first.flatMap { UInt64($0) } ?? 0
    }

    private static func text(_ path: String) -> String? {
        guard let bytes = try? Files.read(path) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
