"""The server's own page over HTTPS, with the content security policy that binds it."""

import asyncio
from pathlib import Path

from benchmarks.server import free_port
from tests.signaling.edge.certificates import write_certificate
from tests.support.server import running_server

from .browsers import Bridge, launch
from .guests import new_room
from .test_room_page import open_page_at

# Somebody else's server: what the policy forbids is never sent.
VIOLATION = """() => new Promise((resolve) => {
  addEventListener('securitypolicyviolation', (event) =>
    resolve([event.effectiveDirective, event.blockedURI, event.disposition]));
  fetch('https://127.0.0.2:9/').catch(() => {});
})"""


async def test_two_people_meet_over_https_under_the_policy(
    browser_bridge: Bridge, tmp_path: Path
) -> None:
    write_certificate(tmp_path, "self-signed")
    port = free_port()
    settings = {
        "TLS_HOST": "127.0.0.1",
        "TLS_PORT": str(port),
        "TLS_CERT": str(tmp_path / "cert.pem"),
        "TLS_KEY": str(tmp_path / "key.pem"),
    }
    browser = await launch(browser_bridge, "chromium", trusting=True)
    try:
        async with running_server(tmp_path / "server", settings=settings):
            origin, room = f"https://127.0.0.1:{port}", new_room()
            zoe = await open_page_at(browser, origin, identity="zoe", room=room)
            yan = await open_page_at(browser, origin, identity="yan", room=room)
            for page in (zoe, yan):
                await page.join()
            await asyncio.gather(zoe.shows("yan"), yan.shows("zoe"))
            for page in (zoe, yan):
                # The policy lets a page open sockets to this port alone, where all is TLS.
                assert await page.page.run("() => [location.origin, isSecureContext]") == [
                    origin,
                    True,
                ]
                assert page.page.errors == []
            assert await zoe.page.run(VIOLATION) == [
                "connect-src",
                "https://127.0.0.2:9/",
                "enforce",
            ]
            await zoe.page.close()
            await yan.page.close()
    finally:
        await browser.quit()
