"""The address schemes that alerts can go to, without importing the library that speaks them.

A mistyped scheme is refused when the project is loaded, not when the first alert is due; that must
not cost the import of Apprise (14 MB), so its names are listed here. Names that a newer Apprise
added are known too when it is installed.
"""

from __future__ import annotations

import warnings
from typing import Final

OWN: Final = ("http", "https", "smtp", "smtps")
"""What Ratchet speaks itself."""

_NAMES = """
46elks amqp amqps apprise apprises aprs atalk azure bark barks betterstack bluesky brevo bsky
bulksms bulkvs burstsms chanify clickatell clicksend cliq cm d7sms dapnet dbus deltachat
deltachats dingtalk discord dot eight00com elks emby embys enigma2 enigma2s evolution
evolutions exotel fcm feishu firehydrant flock flowtriq flowtriqs fluxer fluxers form forms
freemobile gchat github glib gnome goalert goalerts gorush gorushs gotify gotifys groundmail
groupme growl guilded gupshup hassio hassios httpsms humhub humhubs ifttt ilert incidentio
infobip irc ircs jellyfin jellyfins jira join json jsons kakao kakaotalk kaleyra kavenegar kde
klr kodi kodis kook kudosity kumulos lametric lametrics lark lauther lfg line macosx mailersend
mailgun mailto mailtos mastodon mastodons matrix matrixs misskey misskeys mmost mmosts
mobilemessage mobilemsg mqtt mqtts msg91 msgbird ncloud nclouds nctalk nctalks nexmo nostr
notica noticas notifiarr notifico notificos notifyre ntfy ntfys o365 octopush onebot onebots
onesignal opsgenie pagerduty pagertree parsep parseps pbul pinglet pinglets pingram pjet pjets
plivo postmark pover prowl psafer psafers push pushdeer pushdeers pushed pushme pushplus
pushward pushy qq qt reddit resend revolt ringc rocket rockets rsyslog ryver schan sendgrid
sendpulse serwersms ses session sessions seven sfr signal signalgrid signals signl4 simplepush
sinch slack smpp smpps smsc smseagle smseagles smsmanager smsmgr smstunnel smtp2go sns sogs
sparkpost spike splunk spugpush spush squadcast stackfield strmlabs synology synologys syslog
telesign telnyx tgram threema toot toots trigv trigvs tweet twilio twist twitter vapid viber
victorops voipms vonage webex wechat wecom wecombot whapi whatsapp windows workflow workflows
wpush wxpusher wxteams x xbmc xbmcs xmatters xml xmls xmpp xmpps youlmk zalo zcliq zohocliq zoom
zulip
"""
APPRISE: Final = frozenset(_NAMES.split())
"""What Apprise 2.2 speaks, also where a library of the system is needed for it."""


def is_known(scheme: str) -> bool:
    """Whether an alert can go to an address of this scheme.

    Args:
        scheme: in lower case, what stands before ``://``.
    """
    return scheme in OWN or scheme in APPRISE or scheme in spoken()


def spoken() -> frozenset[str]:
    """What the installed Apprise speaks; nothing when it is not installed."""
    try:
        import apprise
    except ImportError:
        return frozenset()
    names: set[str] = set()
    with warnings.catch_warnings(action="ignore"):  # its plugins are loaded, old ones too
        services = apprise.Apprise().details()["schemas"]
    for service in services:
        for part in ("protocols", "secure_protocols"):
            told = service.get(part) or ()
            names.update((told,) if isinstance(told, str) else told)
    return frozenset(names)
