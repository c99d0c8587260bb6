"""How people take, keep and give the floor in German; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

GERMAN = TurnWords(
    hums=phrases("m, mm, mhm, mhmm, mmhm, hm, hmm, aha, ah, oh, ach, äh, uh, huch, hä, m hm, mm hm, oh je"),
    backchannels=phrases(
        "ja, jo, jep, jaja, okay, ok, o k, genau, stimmt, richtig, klar, gut, sehr gut, alles klar, "
        "verstehe, ich verstehe, aha, ach so, achso, ach ja, echt, wirklich, natürlich, super, toll, schön, "
        "interessant, krass, wow, eben, sicher, na klar, in ordnung, ach was, danke, danke schön, weiß ich, "
        "genau so, ah ja, oh ja"
    ),
    answers=phrases(
        "ja, jo, jep, nein, nee, nö, okay, ok, klar, na klar, gerne, gern, natürlich, sicher, genau, "
        "richtig, stimmt, doch, auf jeden fall, auf keinen fall, vielleicht, ich glaube schon, "
        "ich glaube nicht, ich denke schon, eher nicht, nicht wirklich, jetzt nicht, noch nicht, gut, "
        "alles klar, weiß nicht, weiß ich nicht, ich weiß nicht, keine ahnung, mhm, mm hm, m hm, "
        "in ordnung, passt, mach das, nichts, später, niemals, ja bitte, nein danke, das stimmt, bitte"
    ),
    courtesy=phrases("bitte, danke, danke schön, vielen dank, mal, dann"),
    stops=phrases(
        "stop, stopp, halt, warte, warte mal, warten sie, moment, moment mal, einen moment, ruhe, "
        "sei still, sei ruhig, sei leise, still, leise, halt die klappe, klappe, halt den mund, hör auf, "
        "aufhören, genug, das reicht, es reicht, reicht, schluss, nein nein, vergiss es, egal, schon gut, "
        "pause, abbrechen, abbruch, pst, psst, sekunde"
    ),
    openers=phrases(
        "äh, ähm, öhm, hm, also, ja, und, aber, okay, ok, hey, hallo, na, so, nein, naja, oh, ach, gut, "
        "bitte, jetzt"
    ),
    never_last={
        "an article": phrases("der, die, den, dem, des, ein, eine, einen, einem, einer, eines"),
        "a possessive": phrases(
            "mein, meine, meinen, meinem, meiner, dein, deine, deinen, deinem, deiner, unser, unsere, ihre, "
            "ihren, seine"
        ),
        "a conjunction": phrases(
            "und, oder, aber, weil, dass, ob, wenn, sondern, obwohl, damit, denn, sowie, falls, bevor, "
            "nachdem, als"
        ),
        "a preposition": phrases(
            "für, von, ohne, gegen, wegen, seit, zwischen, in, im, am, zum, zur, vom, beim, ins, ans, bis, "
            "trotz, während, über, unter, neben, hinter, pro, per, aufs, fürs, übers, plus, minus, "
            "geteilt durch"
        ),
        "a filler": phrases("äh, ähm, öhm, öh, hm, hmm, mm, ehm, em, halt so, sozusagen"),
    },
    auxiliaries=phrases(
        "ist, sind, war, waren, bin, bist, hat, habe, haben, wird, werde, werden, kann, möchte, würde, "
        "ich will, ich brauche"
    ),
    licences=phrases(
        "wo, wer, was, wie, wann, warum, wieso, weshalb, woher, wohin, welche, welcher, welches, wem, wen, "
        "dass, ob, wenn, weil, das, die, der, den, dem, als, obwohl, nachdem, bevor, womit, wofür, wieviel, "
        "falls"
    ),
    pronouns=phrases("ich, du, er, sie, es, wir, ihr, das"),
    particles={
        "ein": phrases(
            "schalt, schalte, schalten, schaltest, mach, mache, lade, lädt, laden, schlaf, schlafe, "
            "schläft, fällt, fiel, stell, stelle, kauf, kaufe, steig, steige, gib, richte, trag, trage, "
            "füge, misch, setz"
        ),
    },
    subordinators=phrases(
        "wenn, falls, weil, obwohl, bevor, nachdem, während, sobald, solange, als, bis, seit, ob"
    ),
    joiners=phrases("und, oder"),
    determiners=phrases(
        "mein, meine, meinen, dein, deine, ein, eine, einen, der, die, das, zwei, drei, vier, fünf, noch"
    ),
    complete=phrases(
        "und so, oder so, und so weiter, oder, was für eine, als ob, na und, das kann ich, so eine, "
        "das die, ja und"
    ),
    unfinished=phrases(
        "ich möchte gerne, kannst du, kannst du mir, könntest du, könntest du mir, gib mir, zeig mir, "
        "zum beispiel, wie sagt man, mal sehen, ich meine, und dann, gibt es"
    ),
    asks_yes_no=phrases(
        "ist, sind, war, bist, hast, haben, hat, kann, können, könnte, soll, sollen, sollte, möchtest, "
        "möchten, willst, wollen, darf, dürfen, wird, würdest, brauchst, brauchen, magst, geht, gibt, "
        "stimmt, fertig, noch etwas, sonst noch, passt, wäre, weißt"
    ),
    tags=phrases(
        "oder, richtig, stimmt's, nicht wahr, okay, ja, oder nicht, korrekt, in ordnung, einverstanden"
    ),
    requests=phrases(
        "kannst du mir, können sie mir, könntest du mir, könnten sie mir, sag mir, sagen sie mir, "
        "nenne mir, nenn mir, nennen sie, gib mir, bitte sag, bitte nenne, bitte nennen, "
        "bitte buchstabiere, buchstabiere, buchstabieren sie, kann ich deine, kann ich ihre"
    ),
    alternatives=phrases("oder"),
    asks_digits=phrases(
        "nummer, telefonnummer, handynummer, pin, code, postleitzahl, datum, geburtsdatum, geburtstag, "
        "kontonummer, kundennummer, ziffern, zahl, iban"
    ),
    asks_spelling=phrases(
        "buchstabieren, buchstabiere, schreibt man, adresse, e mail, mailadresse, passwort, straße, "
        "geschrieben, buchstabierst"
    ),
    asks_list=phrases(
        "zutaten, namen, dinge, sachen, liste, einkaufsliste, welche punkte, was brauchst du, "
        "was brauchen sie"
    ),
    invented=phrases(
        "vielen dank, danke, danke schön, tschüss, tschüs, bis bald, bis zum nächsten mal, oh, so, und, "
        "amen, das war's, mm, ich, hm"
    ),
    never_said=phrases(
        "untertitel der amara, untertitel von, untertitelung, untertitel im auftrag, untertitel erstellt, "
        "copyright wdr, swr 2020, swr 2021, wdr mediagroup, vielen dank fürs zuschauen, "
        "danke fürs zuschauen, vielen dank für's zuschauen, danke für's zuschauen, "
        "vielen dank für die aufmerksamkeit, bis zum nächsten video, im auftrag des zdf"
    ),
)
