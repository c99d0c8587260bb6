"""How people take, keep and give the floor in English; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

ENGLISH = TurnWords(
    hums=phrases(
        "m, mm, mhm, mmhm, mhmm, mmhmm, hm, hmm, hum, umhum, uhhuh, huh, uh, ah, aah, aha, oh, ooh, eh, "
        "um hum, uh huh, ah ha, a ha, m hm, mm hm, mm hmm, um hmm, mm mm, ha, haha, ha ha, ah hah, uhuh, "
        "mhmmm"
    ),
    backchannels=phrases(
        "yeah, yes, yep, yup, ya, yah, yea, okay, ok, o k, okey, kay, okie, alright, all right, right, "
        "sure, sure thing, i see, i know, i understand, i get it, got it, gotcha, got you, of course, "
        "exactly, absolutely, definitely, indeed, true, very true, totally, correct, that's right, "
        "that is right, that's true, makes sense, that makes sense, fair enough, wow, cool, nice, great, "
        "good, very good, perfect, awesome, amazing, lovely, fine, interesting, very interesting, really, "
        "no way, no kidding, oh no, oh my, oh my god, oh dear, my goodness, wonderful, fantastic, you bet, "
        "go on, go ahead, thanks, thank you, uh yeah, sounds good, good to know, i agree, agreed, for sure"
    ),
    answers=phrases(
        "yes, yeah, yep, yup, ya, yah, yea, aye, no, nope, nah, okay, ok, o k, alright, all right, right, "
        "sure, sure thing, of course, absolutely, definitely, certainly, correct, exactly, i think so, "
        "i don't think so, i guess, i guess so, i hope so, i do, i don't, i am, i'm not, i did, i didn't, "
        "i have, i haven't, i will, i won't, i can, i can't, i would, i was, it is, it isn't, it's not, "
        "it was, it does, that's right, that is right, that's correct, true, go ahead, please do, "
        "of course not, not really, not now, not yet, not today, not at all, absolutely not, never, maybe, "
        "perhaps, probably, probably not, possibly, why not, sounds good, sounds great, fine, great, "
        "perfect, that's fine, that works, that's it, that's all, that's enough, i don't know, "
        "i'm not sure, not sure, no idea, nothing, nothing else, mhm, mmhm, mhmm, mmhmm, mm hm, mm hmm, "
        "m hm, uh huh, uhhuh, do it, let's do it, i'd love to, by all means, no problem, good idea, "
        "neither, both, either, either one, later, maybe later, we do, we are, we did, they are, they do, "
        "he is, he does, she is, she does, you are, you can, you may, for sure, you bet, correct"
    ),
    courtesy=phrases(
        "please, thanks, thank you, thank you very much, thanks a lot, then, sir, that, it, now, just, "
        "i'm good, hello, hi, sorry, good morning, good night, good evening, goodbye, bye"
    ),
    stops=phrases(
        "stop, stop it, stop that, stop talking, stop speaking, stop now, wait, wait wait, wait a minute, "
        "wait a second, wait a moment, hold on, hold it, hold up, hang on, hang on a second, "
        "hold on a second, no no, nope nope, shut up, shush, hush, shh, sh, ssh, quiet, be quiet, silence, "
        "be silent, never mind, nevermind, forget it, forget about it, halt, enough, that's enough, "
        "that is enough, okay enough, pause, cancel, cancel that, abort, quit it, cut it out, one moment, "
        "just a moment, one second, one sec, just a second, just a sec, just a minute, excuse me, "
        "pardon me, time out, stay quiet, keep quiet, please stop, you can stop, you can stop now, "
        "can you stop, could you stop, would you stop, will you stop, can you please stop, "
        "could you please stop, can you be quiet, could you be quiet, i said stop, i said wait"
    ),
    openers=phrases(
        "um, uh, uhm, umm, er, erm, hm, hmm, mm, oh, ah, so, well, and, but, hey, okay, ok, alright, "
        "all right, right, yeah, yes, like, actually, please, just, now, then, also, or, great, thanks, "
        "thank you, sure, sorry, no"
    ),
    never_last={
        "an article": phrases("the, a, an"),
        "a possessive": phrases("my, your, our, their"),
        "a determiner": phrases("every, very, whose"),
        "a conjunction": phrases(
            "and, or, but, because, cause, cuz, if, whether, although, unless, than, nor"
        ),
        "a preposition": phrases(
            "of, to, for, from, with, at, into, onto, about, between, during, without, against, toward, "
            "towards, upon, until, till, per, via, plus, minus, divided by, multiplied by, near, beside, "
            "among, in, on, by, as, versus"
        ),
        "a pronoun with half a verb": phrases(
            "i'm, i'll, i've, i'd, you're, you'll, you've, you'd, we're, we'll, we've, we'd, they're, "
            "they'll, they've, they'd, he's, she's, he'll, she'll, it's, it'll, there's, let's, who's, "
            "where's, how's, here's, gonna, wanna"
        ),
        "a filler": phrases("um, uh, uhm, umm, er, err, erm, hm, hmm, mm, ehm, uhh, ah, eh"),
    },
    auxiliaries=phrases(
        "is, are, was, were, i am, be, been, has, have, had, does, did, will, would, can, could, should, "
        "shall, may, might, must, isn't, aren't, wasn't, weren't, don't, doesn't, didn't, can't, couldn't, "
        "won't, wouldn't, shouldn't, haven't, hasn't, hadn't, cannot, want, need, wants, needs"
    ),
    licences=phrases(
        "what, who, whom, where, when, why, how, which, whatever, whoever, wherever, whenever, however, "
        "all, everything, anything, something, nothing, thing, things, one, ones, way, than, as, what's, "
        "who's, where's"
    ),
    strands=phrases("to, for, from, with, at, in, on, by, of, about, into"),
    gaps=phrases("what, who, whom, where, which"),
    copulas=phrases("is, are, was, were"),
    pronouns=phrases("i, you, he, she, it, we, they, that, this, there, these, those"),
    lean_on_prepositions=phrases(
        "look, looking, wait, waiting, talk, talking, listen, listening, come, coming, go, going, belong, "
        "belongs, refer, referring, work, working, live, living, made, afraid, interested, good, thinking, "
        "ask, asking, pointing, born, based, used, paid, pay, famous, known, full, allergic, dream, "
        "worried, heading, staying, sitting, play, playing, speak, speaking, writing, named, called, "
        "traveling, flying, reading, arguing, laughing, responsible, die, died"
    ),
    particles={
        "on": phrases(
            "turn, turned, turning, switch, switched, put, come, go, went, goes, carry, hold, hang, move, "
            "keep, leave, left, get, got, try, log, bring, drive, called, call"
        ),
        "in": phrases(
            "come, comes, came, log, logged, sign, check, plug, plugged, zoom, join, bring, let, tune, "
            "move, moved, fit"
        ),
        "by": phrases("stop, stopped, come, passing, passed, drop"),
    },
    subordinators=phrases(
        "if, even if, unless, although, though, because, before, after, while, once, whenever, as soon "
        "as, in case, until, since, when, now that, as long as"
    ),
    joiners=phrases("and, or, nor, plus"),
    determiners=phrases(
        "my, your, his, her, our, their, a, an, the, some, another, one, two, three, four, five, six, "
        "seven, eight, nine, ten, more"
    ),
    complete=phrases(
        "think so, hope so, guess so, believe so, say so, do so, is that so, even so, or so, not so, if so, "
        "if not, as well, very well, oh well, doing well, going well, went well, and so on, go on, come on, "
        "hold on, hang on, carry on, move on, going on, later on, from now on, and on, all in, uh uh, "
        "what for, where to, where from, who with, what with, as is, or what, yes or no, for and against, "
        "used to, love to, don't want to, don't have to, don't need to, didn't want to, didn't have to, "
        "not going to, not supposed to, not allowed to, let it be, could be, might be, will do, in may, "
        "of may, last may, next may, this may, by may, until may, since may, a can, the can, trash can, "
        "an a, plan a, option a, vitamin a, type a, part a, answer a, side a, hepatitis a, look like, "
        "sound like, feel like, i'm in, count me in, weather is like, the weather like"
    ),
    unfinished=phrases(
        "can you, could you, will you, would you, can you tell me, could you tell me, "
        "would you tell me, can i, could i, may i, do you, can you please, "
        "could you please, would you please, give me, show me, bring me, the thing is, kind of, sort of, "
        "type of, kinds of, types of, a lot of, lots of, let me see, let me think, let's see, "
        "how do you say, what's it called, such as, as well as, in order, how about, what about, you know, "
        "i mean, one of, some of, because of, out of, instead of, going to, want to, wants to, wanted to, "
        "need to, needs to, trying to, able to, thing is that, problem is that, point is that, "
        "question is that, reason is that, tell him that, tell her that, tell them that, told me that, "
        "the fact that, so that, is like, was like, and like, so like, would like, i'd like, we'd like, "
        "looks like, sounds like, feels like, something like, um like, just like, things like, and then, "
        "or maybe, i was wondering, i was thinking, i wonder, is there, are there, was there, and i, but i, "
        "that i, if i, when i, because i, so i, well i, think i, where i, and the"
    ),
    asks_yes_no=phrases(
        "is, are, was, were, am, do, does, did, has, have, had, will, would, can, could, should, shall, "
        "may, might, must, isn't, aren't, wasn't, weren't, don't, doesn't, didn't, haven't, hasn't, won't, "
        "wouldn't, can't, couldn't, shouldn't, ready, want me to, want to, anything else, any questions, "
        "any preference, need, sure, really, got it, sounds good, sound good, make sense, does that, "
        "all set, still there, are you, you want, so you, feel better"
    ),
    tags=phrases(
        "right, okay, correct, yes, no, or not, or no, isn't it, aren't you, don't you, is it, are you, "
        "do you, isn't that, won't you, didn't you, is that right, is that correct, is that okay, "
        "does that help, agreed, wouldn't you, sound good"
    ),
    requests=phrases(
        "can you tell, could you tell, can you give, could you give, can you describe, could you describe, "
        "can you explain, could you explain, can you say, could you say, can you repeat, could you repeat, "
        "can you read, could you read, can you spell, could you spell, can you list, could you list, "
        "can you name, could you name, can you share, could you share, can you provide, could you provide, "
        "can you clarify, could you clarify, can you specify, could you specify, can you please, "
        "could you please, would you please, would you tell, would you mind, can i have, could i have, "
        "may i have, can i get, could i get, may i ask, can i ask, could i ask, can you be, could you be, "
        "tell me, give me, please tell, please give, please spell, spell, please say, please read, read me, "
        "read out, please enter, please list, please name, please provide, name, list, say, i need your, "
        "i'll need your, i will need your, let me know, please repeat, please share, please describe, "
        "describe, i just need your"
    ),
    alternatives=phrases("or"),
    asks_digits=phrases(
        "phone number, number, telephone, mobile, pin, pin code, code, zip, zip code, postcode, "
        "postal code, digits, digit, date, date of birth, birthday, account, account number, card number, "
        "iban, serial, passcode, extension, born, dates"
    ),
    asks_spelling=phrases(
        "spell, spelled, spelt, spelling, letter by letter, letters, email, e mail, email address, address, "
        "password, username, user name, license plate, licence plate, street, website, web address"
    ),
    asks_list=phrases(
        "ingredients, items, names, things, list, which ones, groceries, options do you, topics, steps, "
        "symptoms, need from the store, what do you need, should i add, should i put, anything else to add, "
        "who is coming, toppings, who else is, participants, guests, reasons, what are your"
    ),
    invented=phrases(
        "thank you, thanks, thank you very much, thank you so much, you, bye, bye bye, goodbye, good bye, "
        "the end, so, oh, the, i, a, and, hey guys, hey, hello, hi, it's, i'm sorry, see you, "
        "see you later, what, mm, hmm, huh, ugh, good night, thank you bye, um, uh, ah, i'll be right back, "
        "let's go, oh my god"
    ),
    never_said=phrases(
        "thanks for watching, thank you for watching, thank you for listening, thanks for listening, "
        "please subscribe, like and subscribe, don't forget to subscribe, subscribe to my channel, "
        "please like and subscribe, see you next time, i'll see you next time, see you in the next, "
        "i'll see you in the next, we'll be right back, subtitles by, subtitled by, captions by, "
        "captioned by, closed captioning by, transcribed by, transcription by, transcript by, "
        "translated by, subtitles created by, satsang with mooji, thank you so much for watching"
    ),
)
