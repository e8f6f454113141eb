"""The fixed texts of the installation guide, in the order of their use."""

from __future__ import annotations

HEAD = """\
# GDLASegmenter {version} without internet

For whoever installs software in a hospital. GDLASegmenter is an extension of 3D Slicer {slicer} or
newer (Python {python}) that segments medical images on the computer itself. **Research software:
not a medical device and not for clinical use.**

It sends nothing anywhere: no images, no names, no statistics. It uses the network only if a user
asks it to download a model or to install its engine, and with this folder it needs neither.
"""

CHECK = """\
## 1. Check this folder

Run one of these in this folder. Every line must end with `OK`.

- Linux: `sha256sum --check SHA256SUMS`
- macOS: `shasum -a 256 --check SHA256SUMS`
- Windows, in PowerShell:

      Get-Content SHA256SUMS | ForEach-Object { $hash, $file = $_ -split '  ', 2
        $same = (Get-FileHash $file -Algorithm SHA256).Hash -eq $hash
        "${file}: $(if ($same) { 'OK' } else { 'FAILED' })" }
"""

EXTENSION = """\
## 2. Install 3D Slicer and the extension

Neither is in this folder.

1. On a computer with internet, get 3D Slicer {slicer} or newer from https://download.slicer.org,
   and from https://extensions.slicer.org the package of *GDLASegmenter* for exactly that version
   of Slicer and that system.
2. Install 3D Slicer. In it, open *View > Extensions Manager*, click *Install from file...*, choose
   the package, and restart.
"""

ENGINE = """\
## 3. Install the engine

The engine is ONNX Runtime: one Python package, and the few that it needs. In 3D Slicer, open the
module *GDLA Segmenter* and under *Advanced* click *Install from folder…*; choose this folder.

To install it for all users of a computer instead, run this command in this folder, as whoever may
write to the folder of 3D Slicer:
"""

NO_WHEELS = """\
Its wheels are not in this folder yet. Get them first, on any computer with internet and Python,
with this command in this folder:
"""

ENGINE_END = """\
Slicer's own packages stay as they are: of numpy, pip says `Requirement already satisfied`. Of the
builds of ONNX Runtime (`onnxruntime`, `-gpu`, `-directml`) only one may be installed: they
overwrite each other's files.
"""

MODELS = """\
## 4. Put the models in their place

Once for everybody: copy `models` to a folder that all can read, on this computer or on a server,
and set the environment variable `GDLA_MODEL_DIR` to it. Users need not be able to write there.

- Windows, as administrator: `setx /M GDLA_MODEL_DIR "\\\\server\\share\\models"`
- Linux: the line `GDLA_MODEL_DIR=/srv/gdla/models` in `/etc/environment`
- macOS: `launchctl setenv GDLA_MODEL_DIR /Users/Shared/models` at login

Or each user alone: in the module, click *Import…* and choose a file of `models`.

Models hold numbers only. They are checked before they are used, and nothing in them is executed.
"""

NO_MODELS = """\
## 4. Models

There are none in this folder. The extension brings a small one, `demo-ct`, to try it with.
"""

LAST = """\
## 5. Try it

In 3D Slicer, open *Segmentation > GDLA Segmenter*, load *GDLA abdominal CT* from *Sample Data* and
click *Segment*. A minute later at most there is a segmentation, and the line below the button says
on which processor it was computed.

## If the network may be used in part

To let users install and download themselves, allow https to {hosts}. The proxy is the one in the
settings of Windows or macOS, or in `HTTPS_PROXY`; a login to it can be written there, but one
by Windows (NTLM, Kerberos) is not possible. If your network signs connections anew, set
`REQUESTS_CA_BUNDLE` to the file with your own certificates.

## If something does not work

- *There is no wheel of ... for ...*: this folder has the engine for another system or for another
  version of Python. The message names what is there and what is needed.
- *... is damaged: its checksum is not that ...*: the folder was not copied whole. Repeat step 1.
- *No matching distribution found* or *Looking in links: wheels*, and no more: the command was not
  run in this folder, or its wheels are not here.
- *The model folder ... cannot be read*: the user may not read what `GDLA_MODEL_DIR` names.
- Anything else: *Advanced > Copy diagnostics* copies what we need to help you. It holds nothing
  about patients.

To remove everything, click *Remove* under *Advanced*, uninstall the extension in the Extensions
Manager, and delete the folder of step 4. Where the command of step 3 was used, repeat it with
`uninstall -y {package}` in place of `install` and all that follows.
"""

# PythonSlicer, by the name of the platform, and where it is.
PROGRAMS = {
    "windows": (
        r'"%LOCALAPPDATA%\slicer.org\3D Slicer {slicer}\bin\PythonSlicer.exe"',
        "(at the command prompt; name the folder in which 3D Slicer was installed)",
    ),
    "linux": ("/opt/Slicer/bin/PythonSlicer", "(name the folder that 3D Slicer was unpacked to)"),
    "macos-arm64": ("/Applications/Slicer.app/Contents/bin/PythonSlicer", ""),
    "macos-x86_64": ("/Applications/Slicer.app/Contents/bin/PythonSlicer", ""),
}
