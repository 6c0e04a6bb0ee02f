// The other side of `HandOver`: a gateway that begins where another one is still serving.
//
// Blocks while it waits for its predecessor: it serves nobody yet.

import Network

/// A gateway that hands over to this process.
struct Predecessor {
    private let stream: LocalStream
    /// Its listening sockets.
    let listeners: [Listener]

    /// nil: nobody serves on this state directory.
    init?(in directory: String) throws(StartProblem) {
        do throws(SystemError) {
            stream = try LocalStream(
                connectingTo: StateDirectory.socketPath(in: directory), seconds: Self.seconds)
        } catch {
            if error.isNotFound || error.isRefusal { return nil }
            throw StartProblem(reason: "the running gateway cannot be reached: \(error)")
        }
        try Self.say("take over", to: stream)
        try Self.await("listeners", from: stream)
        do throws(SystemError) {
            listeners = try stream.takeListeners()
        } catch {
            throw StartProblem(reason: "the running gateway's sockets cannot be used: \(error)")
        }
    }

    /// Has it close the store. From here until `tellServing`, nobody is served.
    func awaitRelease() throws(StartProblem) {
        try Self.say("release", to: stream)
        try Self.await("released", from: stream)
    }

    /// Has it end.
    func tellServing() throws(StartProblem) { try Self.say("serving", to: stream) }

    private static func say(_ line: String, to stream: LocalStream) throws(StartProblem) {
        do throws(SystemError) {
            try stream.send(line)
        } catch {
            throw StartProblem(reason: "the running gateway does not hand over: \(error)")
        }
    }

    private static func await(_ line: String, from stream: LocalStream) throws(StartProblem) {
        let received: LocalStream.Received
        do throws(SystemError) {
            received = try stream.receive()
        } catch {
            throw StartProblem(reason: "the running gateway does not hand over: \(error)")
        }
        if received != .line(line) {
            throw StartProblem(reason: "the running gateway does not hand over, or is doing so already")
        }
    }

    private static let seconds = 30
}
