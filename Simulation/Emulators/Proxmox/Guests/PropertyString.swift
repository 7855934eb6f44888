// Values like "virtio=BC:24:11:00:00:01,bridge=vmbr0" and "shared1:100/vm-100-disk-0.qcow2,size=1G": a list of settings in
// one string, the first of which may stand without its name.

/// A property string, its order kept.
struct PropertyString: Hashable {
    /// The part without a name, if there is one.
    var head: String?
    var settings: [(key: String, value: String)]

    static func == (left: PropertyString, right: PropertyString) -> Bool { left.text == right.text }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }

    init(_ text: String) {
        let parts = text.split(separator: ",").map(String.init)
        settings = []
        for (position, part) in parts.enumerated() {
            if let equals = part.firstIndex(of: "=") {
                settings.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
            } else if position == 0 {
                head = part
            } else {
                settings.append((part, ""))
            }
        }
    }

    init(head: String?, settings: [(key: String, value: String)]) {
        self.head = head
        self.settings = settings
    }

    subscript(key: String) -> String? {
        get { settings.first { $0.key == key }?.value }
        set {
            if let newValue {
                if let position = settings.firstIndex(where: { $0.key == key }) {
                    settings[position].value = newValue
                } else {
                    settings.append((key, newValue))
                }
            } else {
                settings.removeAll { $0.key == key }
            }
        }
    }

    var text: String {
        ((head.map { [$0] } ?? []) + settings.map { $0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)" })
            .joined(separator: ",")
    }
}
