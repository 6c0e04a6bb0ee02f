// The demo-api program: the ordinary API that stands behind the gateway in the quickstart and in tests. This
// file is its command line and its start.
//
// It knows nothing of tokens. It believes `X-Auth-Subject`, because only the gateway can reach it, and it has
// adopted the gateway by one header field in the answer to a login. So it listens on loopback unless told
// otherwise.

import Dispatch
import Glibc
import Network

/// What the command line asked for.
struct Options {
    var address = "127.0.0.1:9000"

    /// A command line that cannot be carried out, in one plain line.
    struct Problem: Error {
        let reason: String
    }

    static let usage = """
        usage: demo-api [--listen ADDRESS:PORT]

        Serves the demo API at a literal address, by default 127.0.0.1:9000; port 0: the system chooses.
        """

    /// nil: help was asked for.
    static func parse(_ arguments: [String]) throws(Problem) -> Options? {
        var options = Options()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-h", "--help": return nil
            case "--listen":
                guard let value = rest.popFirst() else {
                    throw Problem(reason: "--listen needs ADDRESS:PORT")
                }
                options.address = value
            default: throw Problem(reason: "unexpected '\(argument)'")
            }
        }
        return options
    }

    /// The address in its parts: `127.0.0.1:9000`, `[::1]:9000`, `localhost:9000`.
    func socketAddress() throws(Problem) -> SocketAddress {
        let problem = Problem(reason: "'\(address)' is no ADDRESS:PORT, such as 127.0.0.1:9000")
        guard let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...])
        else { throw problem }
        var host = address[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let parsed = SocketAddress(host: String(host), port: port) else { throw problem }
        return parsed
    }
}

/// Writes lines to the standard streams.
enum Console {
    static func print(_ text: String) { try? AppendFile.standardOutput.append(Array("\(text)\n".utf8).span) }
    static func error(_ text: String) { try? AppendFile.standardError.append(Array("\(text)\n".utf8).span) }

    static func fail(_ reason: String, code: Int32) -> Never {
        error("demo-api: \(reason)")
        exit(code)
    }
}

let usageExitCode: Int32 = 2
let failureExitCode: Int32 = 1
let listener: Listener
// A client that has gone is the end of one connection, never that of the process.
signal(SIGPIPE, SIG_IGN)
do throws(Options.Problem) {
    guard let options = try Options.parse(Array(CommandLine.arguments.dropFirst())) else {
        Console.print(Options.usage)
        exit(0)
    }
    let address = try options.socketAddress()
    do throws(SystemError) {
        listener = try Listener(on: address)
        try Service.start(on: listener, queue: DispatchQueue(label: "demo-api", qos: .default))
    } catch {
        Console.fail("cannot listen on \(address): \(error.reason)", code: failureExitCode)
    }
} catch {
    Console.fail("\(error.reason)\n\n\(Options.usage)", code: usageExitCode)
}

// The listener takes connections in from here on: whoever waits for this line may connect.
Console.print("demo-api listens on http://\(listener.address)")
dispatchMain()
