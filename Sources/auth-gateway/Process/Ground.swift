// What a gateway stands on before it builds anything: the sockets that it was given, or opens while it still
// may, and the user that it is from then on.

import Configuration
import Glibc
import Network
import Proxy

extension RunCommand {
    /// The sockets that listen already, and whom they come from. All that is opened afterwards is opened with
    /// the rights that remain.
    func ground(
        _ configuration: GatewayConfiguration
    ) throws -> (inherited: [Listener], predecessor: Predecessor?) {
        let predecessor = takesOver ? try Predecessor(in: configuration.stateDirectory) : nil
        try Privileges.refuseCoreDumps()
        let inherited = try predecessor?.listeners ?? Activation.takeListeners()
        guard Privileges.areRoots, let wanted = configuration.user else { return (inherited, predecessor) }
        guard let user = Privileges.User(name: wanted.name, group: wanted.group) else {
            let group = wanted.group.map { " with a group '\($0)'" } ?? ""
            throw StartProblem(reason: "user: nobody is called '\(wanted.name)'\(group)")
        }
        do throws(RuntimeError) {
            let listeners = try Server.bind(configuration, inherited: inherited)
            return (try become(user, listeners, configuration.stateDirectory), predecessor)
        } catch {
            throw StartProblem(reason: error.reason)
        }
    }

    /// Gives up the rights of root; what it has to have afterwards is the user's before.
    private func become(
        _ user: Privileges.User, _ listeners: [Listener], _ directory: String
    ) throws(RuntimeError) -> [Listener] {
        do throws(SystemError) {
            for listener in listeners { try listener.giveFile(to: user) }
            // One that is there already is as somebody wanted it.
            if try Files.modified(directory) == nil {
                try Files.makePrivateDirectory(directory)
                try Privileges.give(directory, to: user)
            }
            try Privileges.become(user)
            return listeners
        } catch {
            throw RuntimeError(reason: "the rights of root cannot be given up: \(error)")
        }
    }
}
