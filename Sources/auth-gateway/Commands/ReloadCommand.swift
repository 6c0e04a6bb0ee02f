// `auth-gateway reload`: has the running gateway read its configuration again, and says how that went.

import Configuration
import Network
import Primitives

/// Reloads the running gateway.
enum ReloadCommand {
    static func run(configuration path: String, isJSON: Bool) -> ExitCode {
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        let socket = StateDirectory.socketPath(in: configuration.stateDirectory)
        let answer: LocalStream.Received
        do throws(SystemError) {
            let stream = try LocalStream(connectingTo: socket, seconds: seconds)
            try stream.send("reload")
            answer = try stream.receive()
        } catch {
            let isAbsent = error.isNotFound || error.isRefusal
            return fail("\(isAbsent ? "no gateway runs on" : "\(error) at") \(socket)", isJSON: isJSON)
        }
        guard case .line(let line) = answer,
            let outcome = try? JSONDocument(parsing: Array(line.utf8), nodesMax: 4096)
        else { return fail("the gateway has not said how the reload went", isJSON: isJSON) }
        let isReloaded = outcome.root["reloaded"]?.boolean ?? false
        if isJSON {
            Console.print(line)
        } else if isReloaded {
            Console.print("reloaded")
        } else {
            for finding in outcome.root["findings"]?.elements ?? [] { Console.error(finding.string ?? "") }
            Console.error(
                "auth-gateway: refused, the old configuration stays: \(outcome.root["reason"]?.string ?? "")")
        }
        return isReloaded ? .success : .failure
    }

    /// What a gateway says that refuses, where none says anything.
    private static func fail(_ reason: String, isJSON: Bool) -> ExitCode {
        if isJSON {
            var writer = JSONWriter()
            writer.beginObject()
            writer.boolean("reloaded", false)
            writer.string("reason", reason)
            writer.endObject()
            Console.print(String(decoding: writer.bytes, as: UTF8.self))
        } else {
            Console.error("auth-gateway: \(reason)")
        }
        return .failure
    }

    private static let seconds = 60
}
