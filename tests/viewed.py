"""A viewer of toy networks in a thread of this process, and a page of it in a browser."""

import json
import threading
import time

import numpy as np
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from torch import nn

import toys
from browsing import until
from misure.cli.commands.view import session_of_run
from misure.datasets.image_files import open_images
from misure.datasets.sample import AS_IT_IS
from misure.viewer.serve import Serving
from misure.viewer.session import Network, Session

NAMES = ("nothing", "ship")


class Switched(nn.Module):
    """A network that can be made slow, and be broken."""

    def __init__(self, network):
        super().__init__()
        self.network, self.delay_s, self.is_broken = network, 0.0, False

    def forward(self, images):
        time.sleep(self.delay_s)
        if self.is_broken:
            raise RuntimeError("the cable is <b>loose</b>")
        return self.network(images)


def write_picture(path, image):
    """An image (3, H, W) in [0, 1] as a PNG."""
    Image.fromarray((image.movedim(0, -1) * 255).byte().numpy()).save(path)


class Served:
    """A viewer of a folder of images, or of a run over them, that serves until it is closed."""

    def __init__(self, folder, network, *, run=None, **options):
        self.network = Switched(network)
        model = toys.model_of(self.network, class_names=NAMES)
        shown = Network(spec="toy", model=model, reading=AS_IT_IS, **options)
        self.out = folder / "out"
        session = (
            Session(open_images(folder), shown, self.out)
            if run is None
            else session_of_run(run, shown, self.out, run)
        )
        self.serving = Serving(session, grace_s=0.5)
        self.viewer = self.serving.viewer
        self.thread = threading.Thread(target=self.serving.run, daemon=True)
        self.thread.start()

    @property
    def entries(self):
        return self.viewer.searches.entries

    def close(self):
        self.serving.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.viewer.session.end(20)


class Page:
    """A page of a viewer, as a person uses it."""

    def __init__(self, browser, served):
        self.browser, self.served = browser, served
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get("about:blank")
        browser.get(served.serving.address)
        until(lambda: self.objects)

    def run(self, script):
        """What a function body in JavaScript returns that may import the modules of the page."""
        return self.browser.execute_async_script(
            "const done = arguments[0];"
            "const at = (name) => import(new URL(`pages/${name}.js`, document.baseURI));"
            f"(async () => {{ {script} }})().then(done, (error) => done(`${{error}}`));"
        )

    def text(self, name):
        return self.browser.execute_script(f"return document.getElementById('{name}').textContent")

    def click(self, selector):
        self.browser.execute_script(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, name, value):
        """Sets a field as a person does."""
        self.browser.execute_script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "for (const type of ['input', 'change'])"
            "  e.dispatchEvent(new Event(type, {bubbles: true}))",
            name, value,
        )  # fmt: skip

    @property
    def objects(self):
        return self.texts("#objects li .name span")

    @property
    def notices(self):
        return self.texts("#notices li span")

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return self.browser.execute_script(script, selector)

    @property
    def dice(self):
        """That of the what-if, once the newest is answered."""
        until(lambda: not self.browser.find_elements("css selector", "#outcome[aria-busy]"))
        return self.text("outcome-dice")

    def state(self, key):
        return self.run(f"return (await at('state')).state.{key}")

    def place(self, row, column, plane="image"):
        """Where a pixel lies in the window."""
        x, y = self.run(
            f"const view = (await at('stage')).allViews().find((v) => v.plane.name === '{plane}');"
            "const box = view.element.getBoundingClientRect();"
            f"return [box.left + view.left + {column + 0.5} * view.across,"
            f"  box.top + view.top + {row + 0.5} * view.down]"
        )
        return round(x), round(y)

    def pointer(self, *steps):
        """Moves the mouse to pixels (row, column[, plane]); `down` and `up` press and let go."""
        chain = ActionChains(self.browser, duration=30)
        pointer = chain.w3c_actions.pointer_action
        for step in steps:
            if step == "down":
                pointer.pointer_down()
            elif step == "up":
                pointer.pointer_up()
            else:
                pointer.move_to_location(*self.place(*step))
        chain.perform()

    def press(self, *keys):
        chain = ActionChains(self.browser)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def tool(self, name):
        self.click(f"[name=tool][value={name}]")

    def what_if(self):
        self.click("[name=mode][value=what-if]")
        until(lambda: self.text("outcome-dice") != "–")

    def explained(self, number=0):
        """Explains an object, and waits for the figures."""
        self.run(f"(await at('explain')).explain({number}); return null")
        until(lambda: self.browser.find_elements("css selector", "#figures dd"))

    def requests(self):
        messages = [
            json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")
        ]
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def errors(self):
        return [one for one in self.browser.get_log("browser") if one["level"] == "SEVERE"]

    def shown(self):
        """What is shown in the newest what-if that was answered, (*spatial) bool."""
        name = self.run("return (await at('state')).state.whatIf.id")
        return np.asarray(self.served.viewer.what_ifs.get(name).region)
