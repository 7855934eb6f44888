import Hummingbird
import HummingbirdTLS
import AsyncHTTPClient
import X509
import SwiftProtobuf
import Yams
import ArgumentParser
import ServiceLifecycle
print("x")
