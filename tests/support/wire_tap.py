"""A man in the middle between one platform and the server's ports, who reads all in the clear.

Towards the platform it is the server: the federation's authority issued its certificate for the
tap's address. Towards the server it is the platform: it shows the certificate and key that lie in
the platform's folder at that moment. Nobody without both secrets could do this.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from loopback_proxy import SERVER, LoopbackProxy, both, dropped

from isthmus.errors import IdentityError
from isthmus.identity import Authority, new_tls_key, private_pem
from isthmus.identity.tls import client_context, server_context

ALPN = ("h2", "http/1.1")
_PIECE = 64 * 1024


@dataclass
class Spoken:
    """One connection, in the clear.

    Attributes:
        to: name of the server's port.
        protocol: that both agreed to; "" = none was named.
        sent: by the platform.
        received: by it.
    """

    to: str
    protocol: str
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class WireTap(LoopbackProxy):
    """Records every connection of one platform.

    Args:
        host: the tap's address.
        ports: of the server, by name.
        authority: the federation's folder of keys.
        secrets: the platform's folder with `tls.key` and `certificate.pem`.
        place: for the tap's own certificate.
    """

    def __init__(
        self, host: str, ports: dict[str, int], authority: Path, secrets: Path, place: Path
    ) -> None:
        super().__init__(host, ports.values())
        self._names = {port: name for name, port in ports.items()}
        self._authority, self._secrets = Authority.open(authority), secrets
        self._pair = (place / "tap.pem", place / "tap.key")
        self._ca = authority / "ca.pem"
        key = new_tls_key()
        place.mkdir(parents=True, exist_ok=True)
        self._pair[0].write_bytes(self._authority.issue_server((host,), key, 1))
        self._pair[1].write_bytes(private_pem(key))
        self.spoken: list[Spoken] = []
        self.keys: set[bytes] = set()  # of the platform's certificates, PEM, as they came and went

    async def listener(self, port):
        name = self._names[port]
        context = server_context(*self._pair, self._ca, require_client=name != "enrolment")
        context.set_alpn_protocols(list(ALPN))

        async def serve(reader, writer):
            try:
                await self._serve(reader, writer, port)
            except (OSError, IdentityError, asyncio.CancelledError):
                pass
            finally:
                dropped(writer)

        return await asyncio.start_server(serve, self.host, port, ssl=context, limit=_PIECE)

    async def _serve(self, reader, writer, port):
        protocol = writer.get_extra_info("ssl_object").selected_alpn_protocol() or ""
        spoken = Spoken(self._names[port], protocol)
        self.spoken.append(spoken)
        context = self._as_platform(spoken)
        there, back = await asyncio.open_connection(
            SERVER, port, ssl=context, server_hostname=SERVER, limit=_PIECE
        )
        try:
            await both(_carry(reader, back, spoken.sent), _carry(there, writer, spoken.received))
        finally:
            dropped(back)

    def _as_platform(self, spoken: Spoken) -> ssl.SSLContext:
        ca = self._authority.certificate_pem
        if spoken.to == "enrolment":
            context = client_context(ca)
        else:
            certificate, key = self._secrets / "certificate.pem", self._secrets / "tls.key"
            self.keys.add(key.read_bytes())
            context = client_context(ca, certificate, key)
        if spoken.protocol:
            context.set_alpn_protocols([spoken.protocol])
        return context


async def _carry(reader, writer, kept: bytearray):
    while data := await reader.read(_PIECE):
        kept += data
        writer.write(data)
        await writer.drain()
