"""How people take, keep and give the floor in Dutch; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

DUTCH = TurnWords(
    hums=phrases("m, mm, mhm, hm, hmm, ah, oh, aha, eh, goh, tja, hè, uhu, m hm"),
    backchannels=phrases(
        "ja, jawel, jep, oké, oke, ok, okay, o k, precies, juist, klopt, goed, heel goed, prima, snap ik, "
        "ik snap het, ik begrijp het, begrepen, duidelijk, natuurlijk, tuurlijk, mooi, leuk, echt, "
        "echt waar, interessant, zeker, inderdaad, is goed, wauw, top, dank je, bedankt, ach ja, oh ja"
    ),
    answers=phrases(
        "ja, jawel, jep, nee, oké, oke, ok, okay, goed, prima, natuurlijk, tuurlijk, zeker, graag, precies, "
        "klopt, misschien, ik denk het wel, ik denk het niet, ik denk van wel, weet ik niet, "
        "ik weet het niet, geen idee, nog niet, niet nu, niet echt, helemaal niet, is goed, doe maar, "
        "nooit, niets, later, mhm, absoluut, best"
    ),
    courtesy=phrases(
        "alsjeblieft, alstublieft, dank je, dank je wel, dankjewel, dank u, bedankt, dan, maar, hoor"
    ),
    stops=phrases(
        "stop, wacht, wacht even, wacht eens, ho, ho ho, moment, een moment, momentje, even wachten, stil, "
        "wees stil, hou op, houd op, ophouden, hou je mond, mond dicht, genoeg, zo is het genoeg, nee nee, "
        "laat maar, vergeet het, pauze, annuleer, sst, ssst, seconde"
    ),
    openers=phrases(
        "eh, uh, uhm, ehm, nou, dus, en, maar, ja, nee, oké, oke, ok, hé, hey, hallo, ah, oh, zeg, goed, "
        "even, alsjeblieft"
    ),
    never_last={
        "an article": phrases("de, een, den"),
        "a possessive": phrases("mijn, jouw, onze, uw"),
        "a conjunction": phrases("en, of, maar, want, omdat, als, hoewel, terwijl, zodat, tenzij, wanneer"),
        "a preposition": phrases(
            "van, met, zonder, tegen, tussen, te, naar, vanaf, tijdens, wegens, sinds, voor, door, bij, "
            "tot, per, plus, min, over, om, in, op"
        ),
        "a filler": phrases("eh, uh, uhm, ehm, hm, hmm, mm, zeg maar, dus, eigenlijk, nou"),
    },
    auxiliaries=phrases(
        "is, zijn, was, waren, ben, bent, heeft, heb, hebben, wordt, kan, wil, zou, ik wil, ik heb, heet"
    ),
    licences=phrases(
        "waar, wie, wat, hoe, wanneer, waarom, welke, welk, dat, of, als, omdat, die, zoals, hoeveel, zodat"
    ),
    pronouns=phrases("ik, jij, je, hij, zij, ze, het, wij, we, jullie, dat"),
    particles={
        "in": phrases("zet, schakel, kom, komt, stap, vul, log, schenk, haal"),
        "op": phrases(
            "hou, houd, sta, let, pas, zet, kom, bel, schiet, geef, neem, ruim, los, zoek, eet, hang, sla, "
            "waar"
        ),
        "door": phrases("ga, gaat, kom, geef, loop, speel, lees, werk"),
        "voor": phrases("stel, lees, ga, kom, waar, bereid"),
        "over": phrases("waar, gaat, ga, schakel, hou, blijf"),
        "van": phrases("waar, daar, wat vind"),
        "naar": phrases("waar, daar"),
        "met": phrases("waar, mee"),
        "bij": phrases("waar, kom, leg, werk"),
        "om": phrases("draai, zet, waar, keer, kijk"),
        "tegen": phrases("waar, kom"),
    },
    subordinators=phrases("als, wanneer, omdat, hoewel, voordat, nadat, terwijl, zodra, zolang, tot, sinds"),
    joiners=phrases("en, of"),
    determiners=phrases("mijn, jouw, een, de, het, twee, drie, vier, vijf, nog"),
    complete=phrases(
        "wat vind je daarvan, en jij, of niet, of dat, en dan, wat dan, dat dan, en wat dan, nou nou, "
        "doe maar, laat maar, toe maar, ja maar, hoe kan dat, nee dan, ga maar, wat wil je dan, "
        "wat moet ik dan, tot dan"
    ),
    unfinished=phrases(
        "kun je, kan je, kunt u, zou je, zou u, kun je me, geef me, laat me zien, bijvoorbeeld, ik bedoel, "
        "hoe zeg je, even kijken, even denken, is er, zijn er, ik wil graag"
    ),
    asks_yes_no=phrases(
        "is, zijn, was, ben, bent, heb, heeft, hebben, kan, kun, kunnen, wil, wilt, willen, zal, zou, mag, "
        "moet, moeten, ga, gaat, klopt, weet, vind, lukt, klaar, nog iets, verder nog, heb je, wil je, "
        "zullen"
    ),
    tags=phrases("toch, hè, ja, nee, oké, goed, of niet, klopt dat, niet waar, is dat goed, akkoord"),
    requests=phrases(
        "kun je me, kan je me, kunt u me, kunt u mij, kun je mij, zou je me, zou u me, zeg me, vertel me, "
        "vertel, noem, noem me, geef me, spel, kun je spellen, mag ik je, mag ik uw"
    ),
    alternatives=phrases("of"),
    asks_digits=phrases(
        "nummer, telefoonnummer, code, pincode, pin, postcode, datum, geboortedatum, verjaardag, cijfers, "
        "rekeningnummer, klantnummer, geboren"
    ),
    asks_spelling=phrases(
        "spellen, spel, spel je, schrijf je, adres, e mail, email, mailadres, wachtwoord, straat, "
        "letter voor letter"
    ),
    asks_list=phrases(
        "ingrediënten, namen, dingen, lijst, boodschappen, wat heb je nodig, wat heeft u nodig, spullen"
    ),
    invented=phrases(
        "dank u wel, dank je wel, bedankt, dankjewel, tot ziens, doei, en, oh, ah, mm, "
        "tot de volgende keer, dag"
    ),
    never_said=phrases(
        "ondertiteld door, ondertiteling door, ondertitels ingediend door, ondertiteling tv gelderland, "
        "tv gelderland, bedankt voor het kijken, dank u voor het kijken, vergeet je niet te abonneren, "
        "ondertitels door, tot de volgende video"
    ),
)
