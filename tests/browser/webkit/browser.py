#!/usr/bin/python3
"""A browser on WebKitGTK for WebKitWebDriver: one window with tabs, and a profile in a folder.

WebKitGTK's own MiniBrowser forgets everything when it is automated, and offers no private file system. This one keeps
what pages store in the folder PROFILE, and switches on the features named in FEATURES (separated by commas), which
Safari has by default.
"""

import os
import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import GLib, Gtk, WebKit2  # noqa: E402

# Storage reaches the disk only if the program ends by itself, a moment after its last tab.
FAREWELL_MS = 150


def enable(settings, names):
    """Switches features on; one that this version does not know is an error, else tests would fail mysteriously."""
    features = WebKit2.Settings.get_all_features()
    known = {f.get_identifier(): f for f in (features.get(i) for i in range(features.get_length()))}
    for name in names:
        if name not in known:
            sys.exit(f"this WebKitGTK has no feature {name}")
        settings.set_feature_enabled(known[name], True)


def main():
    profile = os.environ["PROFILE"]
    manager = WebKit2.WebsiteDataManager(base_data_directory=f"{profile}/data", base_cache_directory=f"{profile}/cache")
    context = WebKit2.WebContext(website_data_manager=manager)
    context.set_automation_allowed(True)
    settings = WebKit2.Settings()
    enable(settings, filter(None, os.environ.get("FEATURES", "").split(",")))
    window = Gtk.Window(default_width=1280, default_height=900)
    tabs = Gtk.Notebook()
    window.add(tabs)

    def closed(view):
        tabs.remove(view)
        if tabs.get_n_pages() == 0:
            GLib.timeout_add(FAREWELL_MS, Gtk.main_quit)

    def allow(_view, request):
        request.allow()
        return True

    def open_tab(_session):
        view = WebKit2.WebView(web_context=context, settings=settings, is_controlled_by_automation=True)
        view.connect("permission-request", allow)
        view.connect("close", closed)
        view.show()
        tabs.append_page(view, Gtk.Label(label="tab"))
        tabs.set_current_page(tabs.page_num(view))
        window.show_all()
        return view

    def started(_context, session):
        info = WebKit2.ApplicationInfo.new()
        info.set_name("WebKitGTK")
        version = (WebKit2.get_major_version(), WebKit2.get_minor_version(), WebKit2.get_micro_version())
        info.set_version(*version)
        session.set_application_info(info)
        session.connect("create-web-view", open_tab)

    context.connect("automation-started", started)
    Gtk.main()


main()
